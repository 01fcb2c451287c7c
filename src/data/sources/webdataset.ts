/**
 * WebDataset tars, as img2dataset writes them: members that share a key (`0001.jpg`, `0001.txt`, `0001.json`) are one
 * sample. The image stays in the tar; captions and labels are read now.
 */
import { UsageError } from "../../core/errors.js";
import type { LocatedSample } from "../dataset.js";
import type { Container } from "../image-index.js";
import { annotationOf, captionLines } from "./columns.js";
import { type DatasetOptions, endings, IMAGE_ENDINGS, type SourceReading } from "./options.js";
import { FileWindow, type TarMember, tarMembers } from "./tar.js";

interface Entry {
  readonly key: string;
  readonly members: Map<string, TarMember>;
}

/** Key and ending of a member name: WebDataset splits at the first dot of the last part, folders at the last. */
function split(name: string, dot: "first" | "last"): [key: string, ending: string] {
  const slash = name.lastIndexOf("/");
  const at = dot === "first" ? name.indexOf(".", slash + 2) : name.lastIndexOf(".");
  return at <= slash ? [name, ""] : [name.slice(0, at), name.slice(at + 1).toLowerCase()];
}

/** Samples of the members, in order of their first member; a repeated ending starts a new sample of the same key. */
function group(members: readonly TarMember[], dot: "first" | "last"): Entry[] {
  const entries: Entry[] = [];
  const open = new Map<string, Entry>();
  for (const member of members) {
    const name = member.name.replace(/^\.\//, "");
    if (/(^|\/)\._/.test(name)) continue; // macOS resource forks
    const [key, ending] = split(name, dot);
    let entry = open.get(key);
    if (entry === undefined || entry.members.has(ending)) {
      entry = { key, members: new Map() };
      open.set(key, entry);
      entries.push(entry);
    }
    entry.members.set(ending, member);
  }
  return entries;
}

const first = (entry: Entry, wanted: readonly string[]): TarMember | undefined => {
  for (const ending of wanted) {
    const member = entry.members.get(ending);
    if (member !== undefined) return member;
  }
  return undefined;
};

/** Reads the headers and texts of `paths`. Throws `UsageError` for a damaged tar or tars without images. */
export function readWebDataset(
  source: string,
  paths: readonly string[],
  options: DatasetOptions,
): SourceReading {
  const imageEndings = endings(options.imageKey, IMAGE_ENDINGS);
  const textEndings = endings(options.captionKey, ["txt"]);
  const containers: Container[] = [];
  const samples: LocatedSample[] = [];
  const seen = new Map<string, number>();
  const imageSeen = new Map<string, number>();
  const textFrom = new Set<string>();
  const labelFrom = new Set<string>();
  let withoutImage = 0;
  for (const path of paths) {
    const file = new FileWindow(path);
    try {
      const members = [...tarMembers(file)];
      let entries = group(members, "first");
      if (!entries.some((entry) => first(entry, imageEndings))) entries = group(members, "last");
      const container = containers.push({ kind: "range", path }) - 1;
      for (const entry of entries) {
        for (const ending of entry.members.keys()) seen.set(ending, (seen.get(ending) ?? 0) + 1);
        const image = first(entry, imageEndings);
        if (image === undefined) {
          withoutImage++;
          continue;
        }
        const ending = image.name.slice(image.name.lastIndexOf(".") + 1).toLowerCase();
        imageSeen.set(ending, (imageSeen.get(ending) ?? 0) + 1);
        const text = first(entry, textEndings);
        let captions: string[] = [];
        if (text !== undefined) {
          captions = captionLines(file.read(text.offset, text.size).toString("utf8"));
          textFrom.add(`.${text.name.slice(text.name.lastIndexOf(".") + 1)} members, one caption a line`);
        }
        let label: string | undefined;
        const cls = entry.members.get("cls");
        if (cls !== undefined) {
          label = file.read(cls.offset, cls.size).toString("utf8").trim();
          labelFrom.add(".cls members");
        }
        const json = entry.members.get("json");
        if (json !== undefined) {
          const annotation = annotationOf(parseJson(path, json, file), options);
          if (captions.length === 0 || options.jsonCaptionKey !== undefined) {
            captions = annotation.captions;
            if (annotation.captionField !== undefined)
              textFrom.add(`field "${annotation.captionField}" of .json members`);
          }
          if (label === undefined && annotation.label !== undefined) {
            label = annotation.label;
            labelFrom.add(`field "${annotation.labelField}" of .json members`);
          }
        }
        const located = { key: entry.key, captions, container, offset: image.offset, size: image.size };
        samples.push(label === undefined ? located : { ...located, label });
      }
    } finally {
      file.close();
    }
  }
  if (samples.length === 0) {
    const what = [...seen].map(([ending, count]) => `${count} .${ending}`).join(", ") || "no members at all";
    throw new UsageError(
      `webdataset ${source}: no member is an image (${imageEndings.join(", ")}); got ${what}. Name the ending with imageKey (--image-key).`,
    );
  }
  const notes = withoutImage > 0 ? [`${withoutImage} keys have no image and are left out`] : [];
  return {
    containers,
    samples,
    description: {
      source,
      kind: "webdataset",
      files: paths.length,
      imagesFrom: `${[...imageSeen.keys()].map((e) => `.${e}`).join(", ")} members`,
      captionsFrom: [...textFrom].join("; ") || "none found",
      ...(labelFrom.size > 0 ? { labelsFrom: [...labelFrom].join("; ") } : {}),
      notes,
    },
  };
}

function parseJson(path: string, member: TarMember, file: FileWindow): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(file.read(member.offset, member.size).toString("utf8"));
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
  } catch (error) {
    throw new UsageError(`tar ${path}: member ${member.name} is not JSON (${(error as Error).message}).`);
  }
}
