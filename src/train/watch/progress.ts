/** What a person sees of a run: one line that is redrawn, or plain lines every so often. */

import { oneLine } from "../../core/errors.js";
import type { StepReport } from "../hooks.js";

/** Where the progress is drawn, usually standard error. */
export interface Screen {
  write(text: string): void;
  /** Can redraw a line. */
  readonly interactive: boolean;
  readonly columns: number;
  readonly color: boolean;
}

export interface ProgressOptions {
  readonly screen: Screen;
  /** Steps done before this sitting. */
  readonly firstStep?: number;
  readonly batchSize: number;
  /** Wall-clock budget in seconds, for runs limited by time: the estimate until the length is fixed. */
  readonly budgetSeconds?: number | undefined;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
  /** Resident memory in bytes; for tests. */
  readonly memory?: () => number;
}

const REDRAW_MS = 100;
const PLAIN_MS = 15_000;
/** Time constant, in seconds, of the shown loss and speed: short enough to follow, long enough to read. */
const SMOOTHING_SECONDS = 5;

/** What one line shows. */
export interface View {
  readonly step: number;
  readonly totalSteps: number | undefined;
  readonly loss: number;
  readonly samplesPerSecond: number;
  /** 0 to 1. */
  readonly dataWaitShare: number;
  readonly memoryBytes: number;
  readonly secondsLeft: number | undefined;
}

/** The progress of one sitting of a run. */
export class Progress {
  private readonly now: () => number;
  private readonly memory: () => number;
  private readonly startMs: number;
  private drawnMs = Number.NEGATIVE_INFINITY;
  private drawn = false;
  private loss: number | undefined;
  private stepSeconds: number | undefined;
  private dataSeconds = 0;
  private last: View | undefined;

  constructor(private readonly options: ProgressOptions) {
    this.now = options.now ?? (() => performance.now());
    this.memory = options.memory ?? (() => process.memoryUsage.rss());
    this.startMs = this.now();
  }

  /** Takes in a step; draws when it is time to. */
  step(report: StepReport): void {
    const weight = 1 - Math.exp(-report.stepSeconds / SMOOTHING_SECONDS);
    const blend = (old: number | undefined, next: number) =>
      old === undefined || !Number.isFinite(old) ? next : old + weight * (next - old);
    this.loss = blend(this.loss, report.loss);
    // The first step compiles and fills the queue and says nothing about speed: the second replaces it.
    const fresh = report.step <= (this.options.firstStep ?? 0) + 2;
    this.dataSeconds = fresh ? report.dataSeconds : blend(this.dataSeconds, report.dataSeconds);
    this.stepSeconds = fresh ? report.stepSeconds : blend(this.stepSeconds, report.stepSeconds);
    this.last = this.viewOf(report);
    const { interactive } = this.options.screen;
    const done = report.step === report.totalSteps;
    if (!done && this.now() - this.drawnMs < (interactive ? REDRAW_MS : PLAIN_MS)) return;
    this.draw();
  }

  /** Prints a line above the progress. */
  message(text: string): void {
    this.erase();
    this.options.screen.write(`${oneLine(text)}\n`);
    if (this.options.screen.interactive && this.last) this.draw();
  }

  /** Leaves the last line standing. */
  finish(): void {
    if (this.options.screen.interactive && this.drawn) {
      this.draw();
      this.options.screen.write("\n");
    }
    this.drawn = false;
    this.last = undefined;
  }

  private viewOf(report: StepReport): View {
    const seconds = Math.max(this.stepSeconds ?? report.stepSeconds, 1e-9);
    const elapsed = (this.now() - this.startMs) / 1000;
    const { budgetSeconds, batchSize } = this.options;
    const left =
      report.totalSteps !== undefined
        ? (report.totalSteps - report.step) * seconds
        : budgetSeconds === undefined
          ? undefined
          : Math.max(0, budgetSeconds - elapsed);
    return {
      step: report.step,
      totalSteps: report.totalSteps,
      loss: this.loss ?? report.loss,
      samplesPerSecond: batchSize / seconds,
      dataWaitShare: Math.min(1, this.dataSeconds / seconds),
      memoryBytes: this.memory(),
      secondsLeft: left,
    };
  }

  private draw(): void {
    if (!this.last) return;
    const { screen } = this.options;
    this.drawnMs = this.now();
    if (!screen.interactive) {
      screen.write(`${renderPlain(this.last)}\n`);
      return;
    }
    screen.write(`\r${renderBar(this.last, screen.columns, screen.color)}\x1b[K`);
    this.drawn = true;
  }

  private erase(): void {
    if (this.options.screen.interactive && this.drawn) this.options.screen.write("\r\x1b[K");
    this.drawn = false;
  }
}

/** One line of a log: `step 1200/5000  loss 2.314  512 samples/s  data wait 3%  memory 1.2 GB  4m 10s left`. */
export const renderPlain = (view: View): string => factsOf(view).join("  ");

/** The line with a bar, at most `columns` − 1 wide; facts that do not fit are left out from the right. */
export function renderBar(view: View, columns: number, color: boolean): string {
  const room = Math.max(20, columns - 1);
  const percent =
    view.totalSteps === undefined ? "  …" : `${Math.floor((100 * view.step) / view.totalSteps)}%`.padStart(4);
  const barWidth = Math.min(24, Math.max(8, Math.floor(room / 5)));
  const filled = view.totalSteps === undefined ? 0 : Math.floor((barWidth * view.step) / view.totalSteps);
  let used = percent.length + 1 + barWidth;
  const kept: string[] = [];
  for (const fact of factsOf(view)) {
    if (used + 2 + fact.length > room) continue;
    kept.push(fact);
    used += 2 + fact.length;
  }
  const full = "━".repeat(filled);
  const rest = (color ? "━" : "─").repeat(barWidth - filled);
  const bar = color ? `\x1b[36m${full}\x1b[90m${rest}\x1b[0m` : `${full}${rest}`;
  return [`${percent} ${bar}`, ...kept].join("  ");
}

function factsOf(view: View): string[] {
  const total = view.totalSteps === undefined ? "" : `/${view.totalSteps}`;
  const speed = view.samplesPerSecond;
  const facts = [
    `step ${view.step}${total}`,
    `loss ${view.loss.toFixed(3)}`,
    `${speed < 10 ? speed.toFixed(1) : Math.round(speed)} samples/s`,
  ];
  // Time left is worth more than the rest where there is little room.
  if (view.secondsLeft !== undefined && view.step !== view.totalSteps)
    facts.push(`${formatClock(view.secondsLeft)} left`);
  facts.push(`data wait ${Math.round(100 * view.dataWaitShare)}%`, `memory ${formatBytes(view.memoryBytes)}`);
  return facts;
}

/** `9s`, `4m 10s`, `2h 05m`, `3d 04h`. */
export function formatClock(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d ${two(Math.floor(whole / 3600) % 24)}h`;
}

/** `512 MB`, `1.2 GB`: powers of ten. */
export const formatBytes = (bytes: number): string =>
  bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
