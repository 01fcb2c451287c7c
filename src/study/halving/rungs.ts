/**
 * Successive halving: arms are compared part of the way, and those that have fallen behind are stopped
 * (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization").
 */

/** An arm is one level with everything else alike; what is known of it at each rung. */
export interface Arm {
  /** Its score at each rung, over all its seeds; undefined where one of them is not there yet. Higher is better. */
  readonly scores: readonly (number | undefined)[];
  /** It can get no further. */
  readonly failed: boolean;
}

export interface Standing {
  /** The rung that it goes to, waits at, or was stopped at; the number of rungs is the run's end. */
  readonly rung: number;
  readonly state: "goes on" | "waits" | "stopped";
}

/** Arms that go to the end: at a rung the learning rate has not come down yet, so the end must decide between the last. */
export const FINALISTS = 2;
/** No arm is judged before this share of the run: it would be judged by its warm-up. */
const FIRST = 0.1;

/** How many of `arms` go on from a rung. */
export const keptOf = (arms: number, reduction: number): number =>
  Math.min(arms, Math.max(FINALISTS, Math.ceil(arms / reduction)));

/**
 * The shares of the run at which `arms` are compared, ascending, each `reduction` times the one before; the last is 1 / `reduction`.
 * As many as leave `FINALISTS` arms, none before `FIRST` of the run; none at all for two arms.
 */
export function rungsOf(arms: number, reduction: number): readonly number[] {
  const shares: number[] = [];
  for (let left = arms; left > FINALISTS; left = keptOf(left, reduction)) {
    const share = reduction ** -(shares.length + 1);
    if (share < FIRST) break;
    shares.unshift(share);
  }
  return shares;
}

/** How many of `arms` go to the end. */
export const finalistsOf = (arms: number, reduction: number): number =>
  rungsOf(arms, reduction).reduce((left) => keptOf(left, reduction), arms);

/** Where each arm stands. All arms reach a rung before any goes on from it. Equal scores go by the arms' order. */
export function standingsOf(arms: readonly Arm[], rungs: number, reduction: number): readonly Standing[] {
  const standings: Standing[] = arms.map(() => ({ rung: 0, state: "stopped" }));
  let alive = arms.map((_, at) => at);
  for (let rung = 0; rung < rungs; rung++) {
    const there = alive.filter((at) => arms[at]!.scores[rung] !== undefined);
    const missing = alive.filter((at) => !there.includes(at) && !arms[at]!.failed);
    if (missing.length > 0) {
      for (const at of there) standings[at] = { rung, state: "waits" };
      for (const at of missing) standings[at] = { rung, state: "goes on" };
      return standings;
    }
    for (const at of alive) standings[at] = { rung, state: "stopped" };
    const scoreOf = (at: number): number => arms[at]!.scores[rung]!;
    alive = there.sort((a, b) => scoreOf(b) - scoreOf(a) || a - b).slice(0, keptOf(there.length, reduction));
  }
  for (const at of alive) standings[at] = { rung: rungs, state: "goes on" };
  return standings;
}

/** The share of all arms' training that halving takes. */
export function costOf(arms: number, reduction: number): number {
  let [left, done, cost] = [arms, 0, 0];
  for (const share of [...rungsOf(arms, reduction), 1]) {
    cost += left * (share - done);
    done = share;
    left = keptOf(left, reduction);
  }
  return cost / arms;
}
