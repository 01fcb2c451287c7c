/** Other programs that follow a run (`--report-to`): a record each, told what `metrics.jsonl` and `evaluation.jsonl` get. */

import type { Line, Run } from "../run/folder.js";

/** A picture for people. */
export interface ReportPicture {
  readonly tag: string;
  readonly png: Uint8Array;
}

/** What it writes is in the run's folder and says what the two files say: a run that goes on begins it anew from them. */
export interface Reporter {
  metrics(line: Line): void;
  evaluation(line: Line): void;
  picture?(picture: ReportPicture): void;
}

/** Opens a reporter of a run, whose lines so far it writes first. */
export type OpenReporter = (run: Run) => Reporter;
