/** Captions for sources that have labels and no texts: each picture is described by the name of its class. */
import { areNumbers, classesOf, emptyClasses, labelsOf } from "../class-names.js";
import type { DatasetOptions, SourceReading } from "./options.js";

/**
 * The readings, those without any caption described by their classes' names (`classNameOf`, or the file's). Labels
 * that are only numbers stay without captions where no file names them, which is noted. `name` is the data's in errors.
 */
export function captionByClass(
  readings: readonly SourceReading[],
  name: string,
  { classnames }: Pick<DatasetOptions, "classnames">,
): SourceReading[] {
  const bare = readings.map(({ samples }) => samples.classes > 0 && samples.captionCount === 0);
  if (!bare.includes(true)) return [...readings];
  const labels = labelsOf([
    ...readings.flatMap(({ samples }) => Array.from(samples.labelNames(), (label) => ({ label }))),
    ...emptyClasses(readings.map(({ description }) => description)),
  ]);
  if (classnames === undefined && areNumbers(labels)) {
    const note = "its labels are numbers, which describe no picture: name them with --classnames";
    return readings.map((reading, r) => (bare[r] ? withNotes(reading, [note]) : reading));
  }
  const { names, indexOf, notes } = classesOf(labels, name, classnames);
  return readings.map((reading, r) => {
    if (!bare[r]) return reading;
    const samples = reading.samples.describedBy((label) => names[indexOf.get(label)!]!);
    const captionsFrom = classnames === undefined ? "the class's name" : `the class's name in ${classnames}`;
    return withNotes({ ...reading, samples, description: { ...reading.description, captionsFrom } }, notes);
  });
}

const withNotes = (reading: SourceReading, notes: readonly string[]): SourceReading => ({
  ...reading,
  description: { ...reading.description, notes: [...reading.description.notes, ...notes] },
});
