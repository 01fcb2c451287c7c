/** A review of a table as one thing: opened, judged or served, and brought to its outcome. */

import { UsageError } from "../../core/errors.js";
import { writeJsonAtomic } from "../../core/files.js";
import type { PageServer, ServeOptions } from "../../core/web/listen.js";
import type { Dataset } from "../../data/index.js";
import { type ReviewReport, reviewReport } from "./agreement/report.js";
import { toArgilla } from "./exchange/argilla.js";
import { type Imported, importVerdicts } from "./exchange/import.js";
import { type LabelStudioOptions, toLabelStudio } from "./exchange/label-studio.js";
import { type Exported, exportOutcome } from "./export.js";
import { readGold } from "./gold.js";
import { ReviewLog } from "./log/log.js";
import { type OpenedSet, type OpenSetOptions, openReviewSet, type ReviewTables, tellTables } from "./open.js";
import type { HandoutSettings } from "./order/handout.js";
import type { ReviewOrder } from "./order/priority.js";
import { type Outcome, outcomeOf } from "./outcome.js";
import { serveReview } from "./server/app.js";
import { ReviewSession } from "./session.js";
import { ItemIndex } from "./set.js";

export interface ReviewOptions extends OpenSetOptions, Partial<Omit<HandoutSettings, "gold">> {
  /** Where verdicts go. Default: the first table's path with `.review.jsonl` in the place of `.parquet`. */
  readonly log?: string | undefined;
  /** What comes first. Default `useful`: where scores disagree, the selection's border runs, or a verdict moves most. */
  readonly order?: ReviewOrder | undefined;
  /** JSON Lines of known answers: `{"key": …, "verdict": "keep" | "drop" | "correct"}`. */
  readonly gold?: string | undefined;
  /** The review is over when at most this share of what nobody has seen is at fault. Default 0.02. */
  readonly stopAt?: number | undefined;
}

/** Close it, so that its log is: `using review = await openReview(…)`. */
export class Review implements Disposable {
  readonly session: ReviewSession;

  constructor(
    readonly tables: ReviewTables,
    readonly dataset: Dataset,
    readonly opened: OpenedSet,
    private readonly log: ReviewLog,
    { order, gold, stopAt, opinions, overlap, repeats, audit }: ReviewOptions,
  ) {
    const { set } = opened;
    const source = dataset.sources.length === 1 ? dataset.sources[0]!.name : "";
    const handout = { opinions, overlap, repeats, audit };
    const said = Object.entries(handout).filter(([, value]) => value !== undefined);
    this.session = new ReviewSession(set, log, {
      ...(order !== undefined && { order }),
      ...(stopAt !== undefined && { stopAt }),
      ...(gold !== undefined && { gold: readGold(gold, new ItemIndex(set.items), source) }),
      handout: Object.fromEntries(said),
    });
  }

  get logPath(): string {
    return this.log.path;
  }

  /** Serves the page until the server's `close`. */
  serve = (options: ServeOptions = {}): Promise<PageServer> => serveReview(this.session, options);

  /** How far people agree, and how good each is. */
  report(): ReviewReport {
    this.session.refresh();
    return reviewReport(this.session);
  }

  /** What it comes to so far, pair by pair. */
  outcome(): Outcome {
    this.session.refresh();
    return outcomeOf(this.opened.set, this.session.standing);
  }

  /** Writes the outcome as a selection of every pair of the table, which must be another file. */
  async export(path: string, command?: string): Promise<Exported> {
    this.session.refresh();
    const { tables, dataset, opened, session } = this;
    return exportOutcome(path, { tables, dataset, set: opened.set, standing: session.standing, command });
  }

  /** Writes the pairs with their verdicts as Label Studio's JSON of tasks. */
  writeLabelStudio(path: string, options: LabelStudioOptions = {}): void {
    writeJsonAtomic(path, toLabelStudio(this.opened.set, this.session.standing, options));
  }

  /** Writes the pairs with their verdicts as Argilla's JSON of records. */
  writeArgilla(path: string): void {
    writeJsonAtomic(path, toArgilla(this.opened.set, this.session.standing));
  }

  /** Takes in verdicts from Label Studio's or Argilla's JSON, or from another log; those that are there already are not added. */
  import(path: string): Imported {
    using log = new ReviewLog(this.logPath);
    const imported = importVerdicts(path, log);
    this.session.refresh();
    return imported;
  }

  /** Closes the log. */
  [Symbol.dispose](): void {
    this.log[Symbol.dispose]();
  }
}

/**
 * Opens a review of a selection, of a table of scores, or of both (Parquet), whose pictures are those of `dataset`. Throws a
 * `UsageError` for tables that are none, for data that have none of their pairs, and where the log cannot be written.
 */
export async function openReview(
  tables: string | readonly string[],
  dataset: Dataset,
  options: ReviewOptions = {},
): Promise<Review> {
  const paths = typeof tables === "string" ? [tables] : tables;
  const [first] = paths;
  if (first === undefined) throw new UsageError("openReview: tables must name one at least; got none.");
  const told = await tellTables(paths);
  const opened = await openReviewSet(told, dataset, options);
  const log = new ReviewLog(options.log ?? `${first.replace(/\.parquet$/, "")}.review.jsonl`);
  try {
    return new Review(told, dataset, opened, log, options);
  } catch (error) {
    log[Symbol.dispose]();
    throw error;
  }
}
