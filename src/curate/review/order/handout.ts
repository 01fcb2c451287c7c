/**
 * Who is asked what next: by priority, with a share of audits, known questions and questions asked twice among them, and
 * so that several reviewers do not do the same work unless they are meant to.
 */

import { foldIn, type Key, keyFromSeed, Random } from "../../../core/random.js";
import { isConflict, type Opinions } from "../log/standing.js";
import type { Drawn } from "../log/verdict.js";

export interface HandoutSettings {
  /** Opinions that each item needs. Default 1. */
  readonly opinions: number;
  /** Share of the items that need two at least, to measure agreement. Default 0.1. */
  readonly overlap: number;
  /** Share of the questions that a reviewer is asked twice. Default 0.05. */
  readonly repeats: number;
  /** Share of the questions drawn at random, by which the faults left are estimated. Default 0.25. */
  readonly audit: number;
  /** Share of the questions whose answer is known, while there are any. Default 0.05. */
  readonly gold: number;
}

export const handoutDefaults: HandoutSettings = Object.freeze({
  opinions: 1,
  overlap: 0.1,
  repeats: 0.05,
  audit: 0.25,
  gold: 0.05,
});

/** A third opinion decides between two that differ. */
const OPINIONS_IN_CONFLICT = 3;
/** So long an item is kept for a reviewer who was shown it. */
const CLAIM_MS = 180_000;
/** Verdicts of a reviewer between a question and its repetition. */
const REPEAT_AFTER = 15;

export interface HandoutInputs {
  readonly length: number;
  /** A text that is the same for the same item in every session. */
  readonly keyOf: (i: number) => string;
  /** The items, the first to be looked at first. */
  readonly order: Uint32Array;
  /** The stratum of each item, from 0. */
  readonly strata: Uint8Array;
  /** Items whose answer is known. */
  readonly gold: ReadonlySet<number>;
  readonly opinionsOf: (i: number) => Opinions;
  readonly settings?: Partial<HandoutSettings> | undefined;
  readonly now?: () => number;
}

export interface Handed {
  readonly item: number;
  readonly drawn: Drawn;
  readonly repeat: boolean;
}

/** What the handout needs to know of a reviewer. */
export interface ReviewerPast {
  readonly name: string;
  /** Items in the order in which the reviewer judged them, each once. */
  readonly judged: readonly number[];
  readonly wasRepeated: (i: number) => boolean;
}

const DRAWS = keyFromSeed(0);

export class Handout {
  readonly settings: HandoutSettings;
  /** Items drawn at random in turn from each stratum. */
  readonly audit: Uint32Array;
  private readonly overlaps: Uint8Array;
  private readonly claims = new Map<number, Map<string, number>>();
  private readonly now: () => number;

  constructor(private readonly inputs: HandoutInputs) {
    this.settings = { ...handoutDefaults, ...inputs.settings };
    this.now = inputs.now ?? Date.now;
    const { length, keyOf, strata } = inputs;
    this.overlaps = Uint8Array.from({ length }, (_, i) =>
      Number(drawOf(foldIn(DRAWS, "overlap"), keyOf(i)) < this.settings.overlap),
    );
    this.audit = auditOf(length, strata, keyOf);
  }

  /** Opinions that item `i` needs, as things stand. */
  needed(i: number): number {
    const { opinions } = this.settings;
    const least = this.overlaps[i] === 1 ? Math.max(2, opinions) : opinions;
    return isConflict(this.inputs.opinionsOf(i)) ? Math.max(OPINIONS_IN_CONFLICT, least) : least;
  }

  /** Whether item `i` has what it needs. */
  isDecided(i: number): boolean {
    const given = this.inputs.opinionsOf(i);
    return given.size >= this.needed(i) && !isConflict(given);
  }

  /**
   * The next `count` questions for a reviewer, kept from others for three minutes.
   * @param shown items that the reviewer has before him already.
   */
  next(past: ReviewerPast, count: number, shown: ReadonlySet<number>): Handed[] {
    const taken = new Set(shown);
    const out: Handed[] = [];
    const answers = past.judged.length + past.judged.filter(past.wasRepeated).length;
    for (let position = answers + shown.size; out.length < count; position++) {
      const handed = this.one(past, position, taken);
      if (handed === undefined) break;
      taken.add(handed.item);
      this.claim(handed.item, past.name);
      out.push(handed);
    }
    return out;
  }

  /** Gives up what a reviewer was shown. */
  release(item: number, reviewer: string): void {
    this.claims.get(item)?.delete(reviewer);
  }

  private one(past: ReviewerPast, position: number, taken: ReadonlySet<number>): Handed | undefined {
    const { repeats, audit, gold } = this.settings;
    const { order } = this.inputs;
    const isTurn = (share: number): boolean =>
      Math.floor((position + 1) * share) > Math.floor(position * share);
    if (isTurn(repeats)) {
      const item = this.repetition(past, position, taken);
      if (item !== undefined) return { item, drawn: "free", repeat: true };
    }
    const fresh = (item: number): boolean => !taken.has(item) && !this.inputs.opinionsOf(item).has(past.name);
    const known = (): Handed | undefined => {
      for (const item of this.inputs.gold) if (fresh(item)) return { item, drawn: "gold", repeat: false };
      return undefined;
    };
    const asked = isTurn(gold) ? known() : undefined;
    if (asked !== undefined) return asked;
    const open = (item: number): boolean => fresh(item) && this.isOpen(item, past.name);
    const first = isTurn(audit) ? ("audit" as const) : ("order" as const);
    for (const drawn of [first, first === "audit" ? "order" : "audit"] as const) {
      const item = (drawn === "audit" ? this.audit : order).find(open);
      if (item !== undefined) return { item, drawn, repeat: false };
    }
    return gold > 0 ? known() : undefined;
  }

  private repetition(
    { name, judged, wasRepeated }: ReviewerPast,
    position: number,
    taken: ReadonlySet<number>,
  ) {
    const early = judged
      .slice(0, Math.max(0, judged.length - REPEAT_AFTER))
      .filter((item) => !taken.has(item) && !wasRepeated(item));
    if (early.length === 0) return undefined;
    return early[Math.floor(drawOf(foldIn(DRAWS, "repeat", position), name) * early.length)];
  }

  /** Whether another opinion on it is wanted that nobody else is about to give. */
  private isOpen(item: number, reviewer: string): boolean {
    const given = this.inputs.opinionsOf(item);
    const now = this.now();
    let wanted = this.needed(item) - given.size;
    for (const [name, until] of this.claims.get(item) ?? []) {
      if (name !== reviewer && until > now && !given.has(name)) wanted--;
    }
    return wanted > 0;
  }

  private claim(item: number, reviewer: string): void {
    const claims = this.claims.get(item) ?? new Map<string, number>();
    this.claims.set(item, claims);
    claims.set(reviewer, this.now() + CLAIM_MS);
  }
}

/** A number from 0 to 1 that belongs to `text`. */
export const drawOf = (key: Key, text: string): number => new Random(foldIn(key, text)).uniform();

function auditOf(length: number, strata: Uint8Array, keyOf: (i: number) => string): Uint32Array {
  const key = foldIn(DRAWS, "audit");
  const draws = Float64Array.from({ length }, (_, i) => drawOf(key, keyOf(i)));
  const members: number[][] = [];
  for (let i = 0; i < length; i++) {
    members[strata[i]!] ??= [];
    members[strata[i]!]!.push(i);
  }
  const queues = members.map((items) => items.sort((a, b) => draws[a]! - draws[b]!));
  const out = new Uint32Array(length);
  for (let round = 0, at = 0; at < length; round++) {
    for (const items of queues) if (round < (items?.length ?? 0)) out[at++] = items![round]!;
  }
  return out;
}
