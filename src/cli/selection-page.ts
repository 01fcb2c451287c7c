/** The page of `curate select`: examples of what was chosen, with their pictures where the data are at hand. */

import { UsageError } from "../core/errors.js";
import { writeFileAtomic } from "../core/files.js";
import type { SelectionReport } from "../curate/select/select.js";
import { type Dataset, openDataset } from "../data/index.js";
import { Pairs, SampleFinder } from "../data/selections/pairs.js";
import { selectionPage } from "../report/data/selection.js";

/** Writes the page; says what is missing on it. */
export async function writeSelectionPage(
  path: string,
  report: SelectionReport,
  {
    data,
    command,
    say,
  }: {
    /** Sources of the pictures; default those that the table names. */
    readonly data: readonly string[] | undefined;
    readonly command: string;
    readonly say: (line: string) => void;
  },
): Promise<void> {
  const dataset = await picturesOf(report, data, say);
  const pairs = dataset && new Pairs(dataset);
  const finder = pairs && new SampleFinder(pairs, dataset.sources.length > 1);
  const sampleOf = (source: string, key: string): number | undefined => {
    for (const sample of finder?.find(source === "" ? undefined : source, key) ?? []) return sample;
    return undefined;
  };
  const page = await selectionPage({
    title: "Pairs that were chosen",
    ...report,
    groups: report.examples.map(({ pairs: shown, ...group }) => ({
      ...group,
      pairs: shown.map((pair) => ({ ...pair, sample: sampleOf(pair.source, pair.key) })),
    })),
    notes: [...report.rules.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`)), command],
    dataset,
  });
  writeFileAtomic(path, page);
}

/** The data, from where they were when the table was made; told where they are not there any more. */
async function picturesOf(
  { sources }: SelectionReport,
  data: readonly string[] | undefined,
  say: (line: string) => void,
): Promise<Dataset | undefined> {
  const from = data ?? sources;
  if (from.length === 0) return undefined;
  try {
    return await openDataset(from, { captionsOptional: true });
  } catch (error) {
    if (data !== undefined || !(error instanceof UsageError)) throw error;
    say(`The page shows captions alone: ${error.message} Say where the pictures are with --data.`);
    return undefined;
  }
}
