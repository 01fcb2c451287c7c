/**
 * Makes the demo's data out of the emoji sets: `node dist/examples/emoji/prepare.js [--size 64]`. It writes what
 * a user's own data would look like, so that the public commands read it:
 *
 *     data/train/{noto,noto-v1,twemoji,emojione,emojione-v1,openmoji}.tar
 *     data/{fluent-emoji-flat,fluent-emoji-high-contrast,emojione-monotone}/test/0.tar
 *     data/<the same three>/{classnames,zeroshot_classification_templates}.txt   as CLIP_benchmark writes them
 *     data/LICENCES.md, data/summary.json
 *
 * A sample is `key.png`, `key.txt` (one caption a line, the name first), `key.json`, and in the held-out tars
 * `key.cls`, the line in classnames.txt. About 11,000 drawings; 25 s on two cores, nothing the second time.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { UsageError } from "../../src/core/errors.js";
import type { IconSet } from "../drawings/iconify.js";
import { installPackages } from "../drawings/install.js";
import { checkSize, type PrepareOptions, prepared } from "../drawings/output.js";
import { renderAll, tar } from "../drawings/render.js";
import { type Catalogue, catalogue, type Drawing, type Thing } from "./names.js";

export const TRAINING_STYLES = ["noto", "noto-v1", "twemoji", "emojione", "emojione-v1", "openmoji"] as const;
export const HELD_OUT_STYLES = [
  "fluent-emoji-flat",
  "fluent-emoji-high-contrast",
  "emojione-monotone",
] as const;

/** The set whose names are the classes of every held-out test. */
const CLASSES_OF = "fluent-emoji-flat";

/** Raise when the same packages would give other files. */
const FORMAT = 2;

/** The folder `examples/emoji` of this checkout, from `dist/examples/emoji`. */
export const EXAMPLE_FOLDER = fileURLToPath(new URL("../../../examples/emoji/", import.meta.url));

export interface Summary {
  readonly size: number;
  /** Things with at least one training drawing. */
  readonly trainingNames: number;
  /** Names to choose among in the zero-shot tests. */
  readonly classes: number;
  /** Of the classes, those that occur in training under another style: all of them, by construction. */
  readonly classesInTraining: number;
  readonly styles: readonly StyleSummary[];
  /** Held-out icons that no training set names, so that no caption can have taught them. */
  readonly unknown: readonly string[];
}

export interface StyleSummary {
  readonly style: string;
  readonly split: "train" | "test";
  readonly drawings: number;
  /** Drawings whose SVG would not render. */
  readonly broken: number;
  readonly title: string;
  readonly author: string;
  /** Where the set's author publishes it. */
  readonly home: string;
  readonly licence: string;
  readonly licenceUrl: string;
  readonly version: string;
}

/** Writes the data unless the same packages, at the same size, have already been written. */
export async function prepare(options: PrepareOptions = {}): Promise<Summary> {
  const { size = 64, packages = EXAMPLE_FOLDER, onProgress } = options;
  checkSize(size);
  const output = options.output ?? path.join(EXAMPLE_FOLDER, "data");
  const sets = await Promise.all(
    [...TRAINING_STYLES, ...HELD_OUT_STYLES].map((style) => readPackage(packages, style)),
  );
  const input = [FORMAT, size, sets.map(({ style, version }) => [style, version])];
  return prepared(output, input, (write) => draw(sets, size, onProgress, write));
}

async function draw(
  sets: readonly Package[],
  size: number,
  onProgress: PrepareOptions["onProgress"],
  write: (file: string, content: string | Uint8Array) => Promise<void>,
): Promise<Summary> {
  const found = catalogue(
    sets.slice(0, TRAINING_STYLES.length).map(({ set }) => set),
    sets.slice(TRAINING_STYLES.length).map(({ set }) => set),
  );
  const classes = classNames(found);
  const heldOut = found.heldOut.filter(({ thing }) => classes.has(thing.name));
  const all = [...found.training, ...heldOut];
  const pngs = await renderAll(all, size, { onDone: (done) => onProgress?.(done, all.length) });

  const styles: StyleSummary[] = [];
  for (const { style, set, version, info } of sets) {
    const split = (TRAINING_STYLES as readonly string[]).includes(style) ? "train" : "test";
    const members: [string, Uint8Array][] = [];
    let drawings = 0;
    let broken = 0;
    all.forEach((drawing, index) => {
      if (drawing.set !== set) return;
      const png = pngs[index];
      if (png === null || png === undefined) broken++;
      else {
        drawings++;
        members.push(...sample(drawing, style, info.licence, png, split === "test" ? classes : undefined));
      }
    });
    await write(split === "train" ? `train/${style}.tar` : `${style}/test/0.tar`, tar(members));
    if (split === "test") {
      await write(`${style}/classnames.txt`, `${[...classes.keys()].join("\n")}\n`);
      await write(`${style}/zeroshot_classification_templates.txt`, "{c}\n");
      await write(`${style}/test/nshards.txt`, "1\n");
    }
    styles.push({ style, split, drawings, broken, version, ...info });
  }
  const named = new Set(found.training.map(({ thing }) => thing.name));
  await write("LICENCES.md", licences(styles));
  return {
    size,
    trainingNames: named.size,
    classes: classes.size,
    classesInTraining: [...classes.keys()].filter((name) => named.has(name)).length,
    styles,
    unknown: found.unknown,
  };
}

/** Installs the sets (`npm ci` in the example's folder, about 80 MB) unless they are there. */
export async function installSets(folder = EXAMPLE_FOLDER): Promise<void> {
  const missing = [...TRAINING_STYLES, ...HELD_OUT_STYLES].filter(
    (style) => !existsSync(packageFolder(folder, style)),
  );
  if (missing.length === 0) return;
  await installPackages(folder, "emoji sets");
}

const packageFolder = (folder: string, style: string): string =>
  path.join(folder, "node_modules", "@iconify-json", style);

interface Package {
  readonly style: string;
  readonly version: string;
  readonly set: IconSet;
  readonly info: Pick<StyleSummary, "title" | "author" | "home" | "licence" | "licenceUrl">;
}

async function readPackage(folder: string, style: string): Promise<Package> {
  const home = packageFolder(folder, style);
  const read = async <T>(file: string): Promise<T> =>
    JSON.parse(await readFile(path.join(home, file), "utf8")) as T;
  if (!existsSync(path.join(home, "icons.json")))
    throw new UsageError(
      `emoji set: a package in ${folder}; got none named @iconify-json/${style}. Run \`npm ci\` in that folder.`,
    );
  const [icons, chars, metadata, info, manifest] = await Promise.all([
    read<Omit<IconSet, "chars" | "categories" | "aliases"> & { aliases?: IconSet["aliases"] }>("icons.json"),
    existsSync(path.join(home, "chars.json")) ? read<IconSet["chars"]>("chars.json") : {},
    read<{ categories?: IconSet["categories"] }>("metadata.json"),
    read<{
      name: string;
      author: { name: string; url: string };
      license: { title: string; spdx: string; url: string };
    }>("info.json"),
    read<{ version: string }>("package.json"),
  ]);
  return {
    style,
    version: manifest.version,
    set: { ...icons, aliases: icons.aliases ?? {}, chars, categories: metadata.categories ?? {} },
    info: {
      title: info.name,
      author: info.author.name,
      home: info.author.url,
      licence: info.license.spdx,
      licenceUrl: info.license.url,
    },
  };
}

/** Name → class index, in the order of the alphabet: the things that the set of `CLASSES_OF` draws. */
function classNames(found: Catalogue): Map<string, number> {
  const drawn = new Set(
    found.heldOut.filter(({ set }) => set.prefix === CLASSES_OF).map(({ thing }) => thing),
  );
  return new Map(found.things.filter((thing) => drawn.has(thing)).map((thing, index) => [thing.name, index]));
}

/** The captions of a thing's drawings: its name, then its other names. */
export const captionsOf = (thing: Thing): string[] => [thing.name, ...thing.aliases];

function sample(
  { icon, thing }: Drawing,
  style: string,
  licence: string,
  png: Buffer,
  classes: ReadonlyMap<string, number> | undefined,
): [string, Uint8Array][] {
  const key = `${style}_${icon.replaceAll(".", "-")}`; // WebDataset cuts a member's name at its first dot
  const facts = { key, style, category: thing.category, name: thing.name, licence };
  const members: [string, Uint8Array][] = [
    [`${key}.png`, png],
    [`${key}.txt`, Buffer.from(`${captionsOf(thing).join("\n")}\n`)],
    [`${key}.json`, Buffer.from(JSON.stringify(facts))],
  ];
  if (classes !== undefined) members.push([`${key}.cls`, Buffer.from(String(classes.get(thing.name)!))]);
  return members;
}

function licences(styles: readonly StyleSummary[]): string {
  const rows = styles.map(
    ({ style, title, author, home, licence, licenceUrl, version, split }) =>
      `| ${style} ${version} | ${title} | [${author}](${home}) | [${licence}](${licenceUrl}) | ${split === "train" ? "training" : "held out"} |`,
  );
  return [
    "# Licences of the drawings",
    "",
    "Rendered from the sets below, as Iconify packs them for npm (`@iconify-json/…`); each drawing keeps its set's licence,",
    "named in its `.json`.",
    "",
    "| set | title | author | licence | used for |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { size: { type: "string", default: "64" } } });
  await installSets();
  const start = performance.now();
  const summary = await prepare({
    size: Number(values.size),
    onProgress: (done, total) => {
      if (done % 1000 === 0 || done === total) process.stdout.write(`rendered ${done} of ${total}\n`);
    },
  });
  for (const { style, split, drawings, broken, licence } of summary.styles)
    process.stdout.write(
      `${split === "train" ? "train" : "unseen"}  ${style.padEnd(27)} ${String(drawings).padStart(5)} drawings, ${broken} broken  ${licence}\n`,
    );
  process.stdout.write(
    `${summary.trainingNames} names in training; ${summary.classes} classes, ${summary.classesInTraining} of them known from training; ` +
      `${summary.unknown.length} held-out icons without a known name left out; ${((performance.now() - start) / 1000).toFixed(1)} s\n`,
  );
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
