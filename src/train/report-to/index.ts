/** The programs that can follow a run, by name. */

import type { Run } from "../run/folder.js";
import { openCsv } from "./csv.js";
import type { ReporterName } from "./names.js";
import type { OpenReporter, Reporter } from "./reporter.js";
import { openTensorboard } from "./tensorboard.js";

export type { Reporter, ReportPicture } from "./reporter.js";

const reporters: Readonly<Record<ReporterName, OpenReporter>> = {
  tensorboard: openTensorboard,
  csv: openCsv,
};

/** Those that `names` say, as one. */
export function openReporters(run: Run, names: readonly ReporterName[]): Required<Reporter> {
  const open = names.map((name) => reporters[name](run));
  return {
    metrics(line) {
      for (const each of open) each.metrics(line);
    },
    evaluation(line) {
      for (const each of open) each.evaluation(line);
    },
    picture(picture) {
      for (const each of open) each.picture?.(picture);
    },
  };
}
