/**
 * WebDataset tars, as img2dataset writes them: members that share a key (`0001.jpg`, `0001.txt`, `0001.json`) are one
 * sample. The image stays in the tar; captions and labels are read now.
 */
import { basename } from "node:path";
import { UsageError } from "../../../core/errors.js";
import { SampleWriter } from "../../columns/samples.js";
import type { Container } from "../../image-index.js";
import { unreadEndings } from "../../pixels/read/format.js";
import { type DatasetOptions, endings, IMAGE_ENDINGS, type SourceReading } from "../options.js";
import { Problems } from "../problems.js";
import { annotationOf, captionLines, type Given, labelOf } from "../tables/columns.js";
import { parseJson } from "../tables/json.js";
import { TextReader } from "../text.js";
import { readTar, type TarMember } from "./tar.js";
import { FileWindow } from "./tar-fields.js";

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

/** No caption, label or JSON of one image is longer. */
const MOST_TEXT_BYTES = 2 ** 24;

/** Collects the samples of one or several tars. */
class TarsReader {
  readonly containers: Container[] = [];
  readonly samples = new SampleWriter();
  readonly problems = new Problems();
  readonly seen = new Map<string, number>();
  readonly imageSeen = new Set<string>();
  readonly textFrom = new Set<string>();
  readonly labelFrom = new Set<string>();
  withoutImage = 0;
  /** Of the first damaged tar: what to say when nothing at all can be read. */
  damage: string | undefined;
  private readonly texts: TextReader;
  private readonly textEndings: readonly string[];

  constructor(
    private readonly imageEndings: readonly string[],
    private readonly options: DatasetOptions,
  ) {
    this.texts = new TextReader(options.encoding);
    this.textEndings = endings(options.captionKey, ["txt"]);
  }

  add(path: string): void {
    const file = new FileWindow(path);
    try {
      const { members, damage } = readTar(file);
      if (damage !== undefined) {
        this.damage ??= `tar ${path}: ${damage}`;
        this.problems.add("damaged tars, of which the rest is left out", `${basename(path)} ${damage}`);
      }
      let entries = group(members, "first");
      if (!entries.some((entry) => first(entry, this.imageEndings))) entries = group(members, "last");
      const container = this.containers.push({ kind: "range", path }) - 1;
      for (const entry of entries) this.addEntry(file, container, entry);
    } finally {
      file.close();
    }
  }

  private addEntry(file: FileWindow, container: number, entry: Entry): void {
    for (const ending of entry.members.keys()) this.seen.set(ending, (this.seen.get(ending) ?? 0) + 1);
    const image = first(entry, this.imageEndings);
    if (image === undefined) {
      this.withoutImage++;
      return;
    }
    this.imageSeen.add(endingOf(image));
    const text = first(entry, this.textEndings);
    const written = text === undefined ? undefined : this.textOf(file, text);
    let captions: string[] = [];
    if (written !== undefined) {
      captions = captionLines(written);
      this.textFrom.add(`.${endingOf(text!)} members, one caption a line`);
    }
    const cls = entry.members.get("cls");
    let label = cls === undefined ? undefined : labelOf(this.textOf(file, cls));
    let labelFrom = ".cls members";
    let own: Given = {};
    const json = entry.members.get("json");
    if (json !== undefined) {
      const annotation = annotationOf(this.recordOf(file, json), this.options);
      own = annotation.own;
      if (captions.length === 0 || this.options.jsonCaptionKey !== undefined) {
        captions = annotation.captions;
        if (annotation.captionField !== undefined)
          this.textFrom.add(`field "${annotation.captionField}" of .json members`);
      }
      // A field that was asked for comes before what is there anyway.
      if (annotation.label !== undefined && (label === undefined || this.options.labelKey !== undefined)) {
        label = annotation.label;
        labelFrom = `field "${annotation.labelField}" of .json members`;
      }
    }
    if (label !== undefined) this.labelFrom.add(labelFrom);
    const { pieces, size } = image;
    const place =
      pieces === undefined
        ? { container, offset: image.offset, size }
        : {
            container: this.containers.push({ kind: "pieces", path: file.path, pieces }) - 1,
            offset: 0,
            size,
          };
    this.samples.add({
      ...{ key: entry.key, captions, ...place },
      ...(label !== undefined && { label }),
      ...own,
    });
  }

  /** The text of a member; undefined, and counted, where it is none that could be a caption. */
  private textOf(file: FileWindow, { name, offset, size, pieces }: TarMember): string | undefined {
    if (size > MOST_TEXT_BYTES || pieces !== undefined) {
      this.problems.add("texts that are too large or have holes, left out", name);
      return undefined;
    }
    return this.texts.decode(file.read(offset, size));
  }

  private recordOf(file: FileWindow, member: TarMember): Readonly<Record<string, unknown>> {
    try {
      const value = parseJson(this.textOf(file, member) ?? "null");
      return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
    } catch {
      this.problems.add("members that are not JSON, left out", member.name);
      return {};
    }
  }
}

const endingOf = ({ name }: TarMember): string => name.slice(name.lastIndexOf(".") + 1).toLowerCase();

/** Reads the headers and texts of `paths`. Throws `UsageError` when none of the tars holds an image that can be read. */
export function readWebDataset(
  source: string,
  paths: readonly string[],
  options: DatasetOptions,
): SourceReading {
  const imageEndings = endings(options.imageKey, IMAGE_ENDINGS);
  const tars = new TarsReader(imageEndings, options);
  for (const path of paths) tars.add(path);
  const { samples, containers, textFrom, labelFrom, seen, withoutImage } = tars;
  if (samples.length === 0) {
    if (tars.damage !== undefined) throw new UsageError(`${tars.damage}. Fetch or make it again.`);
    const what = [...seen].map(([ending, count]) => `${count} .${ending}`).join(", ") || "no members at all";
    throw new UsageError(
      `webdataset ${source}: no member is an image (${imageEndings.join(", ")}); got ${what}. Name the ending with imageKey (--image-key).`,
    );
  }
  const unread = [...seen].flatMap(([ending, count]) =>
    Object.hasOwn(unreadEndings, ending) ? [`${count} .${ending} (${unreadEndings[ending]})`] : [],
  );
  const notes = [
    ...(withoutImage > 0 ? [`${withoutImage} keys have no image and are left out`] : []),
    ...(unread.length > 0
      ? [`${unread.join(", ")}: a format that is not read; convert them to JPEG or PNG`]
      : []),
  ];
  return {
    containers,
    samples: samples.done(),
    description: {
      source,
      kind: "webdataset",
      files: paths.length,
      imagesFrom: `${[...tars.imageSeen].map((e) => `.${e}`).join(", ")} members`,
      captionsFrom: [...textFrom].join("; ") || "none found",
      ...(labelFrom.size > 0 ? { labelsFrom: [...labelFrom].join("; ") } : {}),
      notes,
      problems: tars.problems.lines,
    },
  };
}
