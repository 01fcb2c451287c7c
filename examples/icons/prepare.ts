#!/usr/bin/env node
/**
 * Makes a study set of one npm package of icon sets: `npx clipwright-icons [--size 64]`, in a checkout `npm run demo:icons`. It writes into
 * `examples/icons` of the folder that it is called in, where the studies that come with Clipwright look for it:
 *
 *     data/train/000000.tar …                       key.png, key.txt (the name, then other names)
 *     data/validation.tar                           the same, never trained on
 *     data/concepts/{train,test}/0.tar, …           a class each drawing (key.cls); `train` for probes, of the training drawings
 *     data/{silhouettes,pixel-art,pencil,two-tone,flat-colour,emoji-lines}/test/0.tar, …
 *     data/suite.json                               all tests with their roles, for `clipwright evaluate --suite`
 *     data/LICENCES.md, data/summary.json
 *
 * The folders of classes are as CLIP_benchmark writes them.
 */
import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { copyFile, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeFolder } from "../../src/core/disk.js";
import { UsageError } from "../../src/core/errors.js";
import { groupDuplicates } from "../../src/data/look/duplicates.js";
import { imageSignature, type Signature } from "../../src/data/pixels/read/signature.js";
import { installPackages } from "../drawings/install.js";
import { checkSize, type Keep, type PrepareOptions, prepared, type Write } from "../drawings/output.js";
import { Progress } from "../drawings/progress.js";
import { renderAll, tar } from "../drawings/render.js";
import { drawingsOf, type NamedDrawing, type ThemedSet } from "./names.js";
import { type Collection, isUsable, SHIFTED_STYLES, type ShiftedStyle, shiftedStyleOf } from "./sets.js";
import { type Candidate, splitDrawings } from "./split.js";

/** Raise when the same package would give other files. */
const FORMAT = 1;
const SHARD = 10_000;

/** Where the set is made, from the folder that the program is called in: that of a checkout, or of a project that has the package. */
export const EXAMPLE_FOLDER = path.join("examples", "icons");
/** The folder of the package, or the checkout, that says which icon sets there are, from `dist/examples/icons`. */
const MANIFEST_FOLDER = fileURLToPath(new URL("../../../examples/icons/", import.meta.url));

export interface IconOptions extends PrepareOptions {
  /** A name is a class when at least so many authors draw it; 10. */
  readonly authors?: number;
}

export interface Summary {
  readonly size: number;
  readonly version: string;
  readonly sets: number;
  readonly trainingPairs: number;
  readonly trainingNames: number;
  readonly validationPairs: number;
  readonly classes: number;
  /** Pictures a test set, by its name; `concepts` is in distribution. */
  readonly tests: Readonly<Record<string, number>>;
  /** Drawings of shifted styles left out because a set that is trained on has the same drawing. */
  readonly copies: number;
  /** Drawings that would not render, and those without anything on them. */
  readonly broken: number;
}

interface Source {
  readonly prefix: string;
  readonly collection: Collection;
  readonly style: ShiftedStyle | undefined;
}

interface Drawing extends NamedDrawing {
  readonly source: Source;
  readonly key: string;
  readonly ground?: string;
  readonly ink?: string;
}

/** Writes the data unless the same package, at the same size, has already been written. */
export async function prepare(options: IconOptions = {}): Promise<Summary> {
  const { size = 64, authors = 10 } = options;
  checkSize(size);
  const home = path.join(options.packages ?? EXAMPLE_FOLDER, "node_modules", "@iconify", "json");
  const output = options.output ?? path.join(EXAMPLE_FOLDER, "data");
  const { version } = await readJson<{ version: string }>(path.join(home, "package.json"));
  return prepared(output, [FORMAT, size, authors, version], (write, keep) =>
    makeSet(home, { size, authors, version, onProgress: options.onProgress }, write, keep),
  );
}

interface Settings {
  readonly size: number;
  readonly authors: number;
  readonly version: string;
  readonly onProgress: IconOptions["onProgress"];
}

/** An icon as it is drawn. */
interface Drawn {
  readonly png: Uint8Array;
  readonly signature: Signature;
}

/** Draws icons, in order; undefined where one is broken or shows nothing. */
async function drawAll(
  drawings: readonly Drawing[],
  size: number,
  onDone: (count: number) => void,
): Promise<readonly (Drawn | undefined)[]> {
  const signatures: (Signature | undefined)[] = new Array(drawings.length).fill(undefined);
  const pngs = await renderAll(drawings, size, {
    onDone,
    onPixels: (index, pixels) => {
      // A drawing of one colour shows nothing.
      if (pixels.data.some((value, at) => value !== pixels.data[at % 3]))
        signatures[index] = imageSignature({ ...pixels, channels: 3 });
    },
  });
  return signatures.map((signature, index) => signature && { png: pngs[index]!, signature });
}

async function makeSet(
  home: string,
  { size, authors, version, onProgress }: Settings,
  write: Write,
  keep: Keep,
): Promise<Summary> {
  const { sources, drawings } = await readSets(home);
  const drawn: (Drawn | undefined)[] = [];
  for (let start = 0; start < drawings.length; start += SHARD) {
    const shard = drawings.slice(start, start + SHARD);
    const onDone = (done: number) => onProgress?.(start + done, drawings.length);
    drawn.push(...(await keep(`${start / SHARD}`, () => drawAll(shard, size, onDone))));
  }
  const shown = drawings.flatMap((_, index) => (drawn[index] === undefined ? [] : [index]));
  const groups = groupDuplicates(
    shown.map((index) => ({
      index,
      sizeBytes: drawn[index]!.png.length,
      sha256: createHash("sha256").update(drawn[index]!.png).digest("hex"),
      picture: { width: size, height: size, format: "png", ...drawn[index]!.signature },
    })),
  );
  const candidates = shown.map((index, at): Candidate => {
    const { key, name, source } = drawings[index]!;
    return {
      key,
      name,
      author: source.collection.author.name,
      group: groups[at]!,
      ...(source.style && { style: source.style.name }),
    };
  });
  const split = splitDrawings(candidates, { authors });

  const classOf = new Map(split.classes.map((name, index) => [name, index]));
  const members = (indices: readonly number[], labelled: boolean): Buffer =>
    tar(
      indices.flatMap((at) => {
        const index = shown[at]!;
        const { key, name, aliases } = drawings[index]!;
        const files: [string, Uint8Array][] = [
          [`${key}.png`, drawn[index]!.png],
          [`${key}.txt`, Buffer.from(`${[name, ...aliases].join("\n")}\n`)],
        ];
        if (labelled) files.push([`${key}.cls`, Buffer.from(String(classOf.get(name)!))]);
        return files;
      }),
    );
  for (let start = 0, shard = 0; start < split.train.length; start += SHARD, shard++)
    await write(
      `train/${String(shard).padStart(6, "0")}.tar`,
      members(split.train.slice(start, start + SHARD), false),
    );
  await write("validation.tar", members(split.validation, false));
  const tests = new Map([["concepts", split.test], ...split.shifted]);
  for (const [name, indices] of tests) {
    await write(`${name}/classnames.txt`, `${split.classes.join("\n")}\n`);
    await write(`${name}/zeroshot_classification_templates.txt`, "{c}\n");
    await write(`${name}/test/0.tar`, members(indices, true));
    await write(`${name}/test/nshards.txt`, "1\n");
  }
  await write("concepts/train/0.tar", members(split.probe, true));
  await write("concepts/train/nshards.txt", "1\n");
  await write("suite.json", `${JSON.stringify(suite([...split.shifted.keys()]), undefined, 2)}\n`);
  await write("LICENCES.md", licences(sources, version));
  return {
    size,
    version,
    sets: sources.length,
    trainingPairs: split.train.length,
    trainingNames: new Set(split.train.map((at) => candidates[at]!.name)).size,
    validationPairs: split.validation.length,
    classes: split.classes.length,
    tests: Object.fromEntries([...tests].map(([name, indices]) => [name, indices.length])),
    copies: split.copies,
    broken: drawings.length - shown.length,
  };
}

const readJson = async <T>(file: string): Promise<T> => {
  if (!existsSync(file))
    throw new UsageError(
      `icon sets: the package @iconify/json; got no ${file}. Run \`npm ci\` in examples/icons.`,
      { file },
    );
  return JSON.parse(await readFile(file, "utf8")) as T;
};

/** The usable sets, and every drawing of theirs: one a thing and set, and of the shifted styles those of the set that is tested. */
async function readSets(home: string): Promise<{ sources: Source[]; drawings: Drawing[] }> {
  const collections = await readJson<Record<string, Collection>>(path.join(home, "collections.json"));
  const sources: Source[] = [];
  const drawings: Drawing[] = [];
  for (const [prefix, collection] of Object.entries(collections)) {
    const style = shiftedStyleOf(prefix);
    if (!isUsable(collection) || (style !== undefined && style.set !== prefix)) continue;
    const source = { prefix, collection, style };
    sources.push(source);
    const set = await readJson<ThemedSet>(path.join(home, "json", `${prefix}.json`));
    for (const drawing of drawingsOf(set)) {
      const colours = style && {
        ...(style.ground && { ground: style.ground }),
        ...(style.ink && { ink: style.ink }),
      };
      // WebDataset cuts a member's name at its first dot.
      const key = `${prefix}_${drawing.icon.replaceAll(".", "-")}`;
      drawings.push({ ...drawing, ...colours, source, key });
    }
  }
  return { sources, drawings };
}

/** All tests together: drawings of the styles that were trained on as the reference, the others as shifts. */
const suite = (shifted: readonly string[]) => ({
  sets: {
    concepts: { data: "concepts", role: "reference" },
    ...Object.fromEntries(shifted.map((name) => [name, { data: name, role: "shift" }])),
    validation: { data: "validation.tar", tasks: ["zeroshot_retrieval"] },
  },
});

function licences(sources: readonly Source[], version: string): string {
  const rows = sources.map(({ prefix, collection: { name, author, license }, style }) => {
    const linked = (text: string, url: string | undefined) =>
      url === undefined ? text : `[${text}](${url})`;
    const use = style === undefined ? "training" : `held out: ${style.name}`;
    return `| ${prefix} | ${name} | ${linked(author.name, author.url)} | ${linked(license.spdx ?? license.title, license.url)} | ${use} |`;
  });
  return [
    "# Licences of the drawings",
    "",
    `Rendered from the sets below, as Iconify packs them for npm (\`@iconify/json\` ${version}); each drawing keeps its set's licence. A`,
    "drawing's key begins with its set.",
    "",
    "| set | title | author | licence | used for |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

/** Lays into `folder` what npm needs to fetch the icon sets; in a checkout it lies there. */
export async function layManifests(folder: string): Promise<void> {
  makeFolder(folder);
  for (const name of ["package.json", "package-lock.json"])
    if (!existsSync(path.join(folder, name)))
      await copyFile(path.join(MANIFEST_FOLDER, name), path.join(folder, name));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { size: { type: "string", default: "64" } } });
  const size = Number(values.size);
  checkSize(size);
  const start = performance.now();
  if (!existsSync(path.join(EXAMPLE_FOLDER, "node_modules"))) {
    process.stderr.write("Fetching the icon sets from npm (about 100 MB) …\n");
    await layManifests(EXAMPLE_FOLDER);
    await installPackages(EXAMPLE_FOLDER, "icon sets");
  }
  using progress = new Progress("Drawing icons:");
  const summary = await prepare({ size, onProgress: progress.show });
  progress.clear();
  const styles = SHIFTED_STYLES.map(
    ({ name, about }) => `  ${name}: ${summary.tests[name] ?? 0} (${about})\n`,
  );
  process.stdout.write(
    `${summary.trainingPairs} pairs of ${summary.trainingNames} names to train on, of ${summary.sets - SHIFTED_STYLES.length} sets; ` +
      `${summary.validationPairs} to watch it by\n${summary.classes} classes, ${summary.tests.concepts} drawings of them held out; in styles never trained on:\n` +
      `${styles.join("")}${summary.copies} drawings of these left out as copies of training drawings; ${summary.broken} that show nothing\n` +
      `${path.join(EXAMPLE_FOLDER, "data")}, ${((performance.now() - start) / 1000).toFixed(0)} s\n`,
  );
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`clipwright-icons: ${error.message}\n`);
    process.exitCode = 1;
  }
}
