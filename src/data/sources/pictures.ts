/** Pictures alone, without captions: single files and what a glob matches; and pictures that are not read. */
import { basename, sep } from "node:path";
import { UsageError } from "../../core/errors.js";
import { samplesOf } from "../columns/samples.js";
import { textsOf } from "../columns/texts.js";
import { unreadEndings } from "../pixels/read/format.js";
import { IMAGE_ENDINGS, type SourceReading } from "./options.js";
import { Problems } from "./problems.js";

/** A file's path without its ending, and the ending in lower case. */
export const splitName = (path: string): [stem: string, ending: string] => {
  const at = path.lastIndexOf(".");
  return at <= path.lastIndexOf(sep) + 1 ? [path, ""] : [path.slice(0, at), path.slice(at + 1).toLowerCase()];
};

const isRead = (ending: string): boolean => (IMAGE_ENDINGS as readonly string[]).includes(ending);

/** Whether a file's ending is a picture's, read or not. */
export function isPicture(path: string): boolean {
  const ending = splitName(path)[1];
  return isRead(ending) || Object.hasOwn(unreadEndings, ending);
}

/** Tells the pictures among `paths` whose format is not read, but for those that lie there in another one, too. */
export function tellUnread(paths: readonly string[], problems: Problems): void {
  const read = new Set(paths.map(splitName).flatMap(([stem, ending]) => (isRead(ending) ? [stem] : [])));
  for (const path of paths) {
    const [stem, ending] = splitName(path);
    if (!Object.hasOwn(unreadEndings, ending) || read.has(stem)) continue;
    problems.add(
      `pictures in a format that is not read (${unreadEndings[ending]}); convert them to JPEG or PNG`,
      path,
    );
  }
}

/** The pictures at `paths`, without captions. Throws `UsageError` naming the formats when none is read. */
export function readPictures(source: string, paths: readonly string[]): SourceReading {
  const problems = new Problems();
  tellUnread(paths, problems);
  const read = paths.filter((path) => isRead(splitName(path)[1]));
  if (read.length === 0)
    throw new UsageError(`data ${source}: holds no picture that is read; ${problems.lines.join("; ")}.`);
  return {
    containers: [{ kind: "files", paths: textsOf(read) }],
    samples: samplesOf(
      read.map((path, offset) => ({
        key: (read.length === 1 ? basename(splitName(path)[0]) : splitName(path)[0]).replaceAll(sep, "/"),
        captions: [],
        container: 0,
        offset,
        size: -1,
      })),
    ),
    description: {
      source,
      kind: "pictures",
      files: read.length,
      imagesFrom: `${[...new Set(read.map((path) => `.${splitName(path)[1]}`))].join(", ")} files`,
      captionsFrom: "none",
      notes: [],
      problems: problems.lines,
    },
  };
}
