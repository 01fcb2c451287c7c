/** `clipwright embed MODEL`: images and texts to unit vectors. */

import { renameSync, rmSync } from "node:fs";
import { AtomicFile } from "../../core/atomic-file.js";
import { UsageError } from "../../core/errors.js";
import { readText, withFileErrors } from "../../core/files.js";
import { NpyWriter } from "../../core/npy.js";
import { selectField } from "../../data/fields.js";
import { type Dataset, openDataset } from "../../data/index.js";
import type { SkippedSample } from "../../data/loading/loader.js";
import { takeSelected } from "../../data/selections/select.js";
import { openEngine } from "../../engines/registry.js";
import { type Encoder, requireReadable } from "../../evaluate/model/encoder.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import { cutNotes, Twins } from "../../evaluate/prompts/notes.js";
import { defaulted, flag, list, optional, text } from "../../settings/fields.js";
import { defineCommand } from "../command.js";
import { ProgressLine } from "../progress-line.js";
import { modelOptions } from "../scoring.js";

/** Vectors of one batch. */
interface Rows {
  readonly kind: "image" | "text";
  readonly keys: readonly string[];
  /** Unit vectors f32[keys.length,E], flat. */
  readonly vectors: Float32Array;
}

/** Where rows go; nothing is in its place before `commit`. */
interface Sink extends Disposable {
  write(rows: Rows): void;
  commit(): void;
}

/** Texts embedded at once. */
const TEXTS = 256;

export const embedCommand = defineCommand({
  name: "embed",
  summary: "Write the vectors of images and texts, as JSON lines or .npy.",
  description:
    'MODEL is a run, a name (clipwright models --pretrained, hf-hub:OWNER/NAME), a folder of open_clip\'s or of Hugging Face\'s CLIPModel, or a file of weights, .safetensors, .pt or .bin (with --model and --tokenizer). Vectors have length 1; images come first, then texts, each in order. A JSON line is {"key","kind","embedding"}. Keys are unique: the second of its name is NAME#2. Images that cannot be read are named and left out.',
  positionals: [
    { name: "MODEL", doc: "Run, checkpoint, model folder, name, or file of weights.", required: true },
  ],
  options: {
    Input: {
      images: optional(
        list(text("SOURCE"), { separator: "::" }),
        "Images: a folder, with or without captions or labels, files, globs, a table or tars.",
      ),
      select: selectField("With --images: only what this selection keeps."),
      texts: optional(text("FILE"), "Texts, one a line; empty lines are left out."),
      text: optional(list(text("TEXT")), "A text; may be repeated."),
      captions: defaulted(flag(), false, "With --images: also every caption of theirs."),
    },
    Model: modelOptions,
    Output: {
      output: optional(
        text("FILE"),
        "A .npy file (rows in order, keys in FILE.keys.txt) or a .jsonl file; else JSON lines here.",
      ),
    },
  },
  examples: [
    ["clipwright embed runs/flickr --images photos/ --output photos.npy", "One row an image."],
    [
      'clipwright embed open_clip.safetensors --model ViT-B-32 --text "a dog"',
      "With open_clip's weights, and its tokenizer's file in the same folder.",
    ],
  ],
  async run({ options, positionals, terminal }) {
    const [path] = positionals as [string];
    const { images, output, captions } = options;
    if (images === undefined && options.texts === undefined && options.text === undefined) {
      throw new UsageError("embed: nothing to embed; got no --images, --texts or --text. Add one.");
    }
    if (captions && images === undefined) {
      throw new UsageError("embed: --captions are those of images; got no --images. Add them.");
    }
    checkOutput(output);
    using progress = new ProgressLine(terminal);
    const onProgress = progress.say;
    const dataset =
      images &&
      (await takeSelected(await openDataset(images, { captionsOptional: true, onProgress }), options.select, {
        onProgress,
      }));
    const texts = [
      ...(options.text ?? []),
      ...(options.texts === undefined ? [] : readText(options.texts).split(/\r?\n/)),
    ].filter((line) => line !== "");
    await using engine = await openEngine(options.engine, {
      ...options,
      onChoice: (line) => terminal.err(`${line}\n`),
    });
    using encoder = (
      await loadModel(engine, { path, ...options, say: progress.say, progress: progress.show })
    ).encoder;
    const width = encoder.options.clip.config.embed_dim;
    using sink = openSink(output, width, (lines) => terminal.out(lines));
    const unique = uniqueKeys();
    const skipped: SkippedSample[] = [];
    let count = 0;
    const put = (kind: Rows["kind"], names: readonly string[], vectors: Float32Array) => {
      sink.write({ kind, keys: names.map(unique), vectors });
      count += names.length;
    };
    const embedded: string[] = [];
    const cut: number[] = [];
    const twins = new Twins();
    const putTexts = (part: readonly string[], vectors: Float32Array) => {
      cut.push(...encoder.cutTexts(part).map((at) => embedded.length + at));
      embedded.push(...part);
      twins.add(part, vectors, width);
      put("text", part, vectors);
    };
    if (dataset !== undefined) {
      for await (const batch of encoder.embedBatches(dataset)) {
        for (const sample of batch.skipped) progress.say(`Skipped ${sample.key}: ${sample.reason}`);
        skipped.push(...batch.skipped);
        put(
          "image",
          Array.from(batch.indices, (i) => dataset.sample(i).key),
          batch.vectors,
        );
        progress.show({ what: "Embedding images", done: count + skipped.length, total: dataset.length });
      }
      requireReadable(dataset.name, count, skipped);
      if (captions) await embedTexts(encoder, captionsOf(dataset, skipped), putTexts);
    }
    await embedTexts(encoder, texts, putTexts);
    progress.clear();
    sink.commit();
    const notes = [...cutNotes("texts", embedded, cut), ...twins.notes("texts")];
    for (const note of notes) terminal.err(`  ! ${note}\n`);
    const left = skipped.length === 0 ? "" : `; ${skipped.length} left out`;
    if (output !== undefined) terminal.err(`${count} vectors of ${width} in ${output}${left}\n`);
    else if (left !== "") terminal.err(`${count} vectors of ${width}${left}\n`);
    return 0;
  },
});

async function embedTexts(
  encoder: Encoder,
  texts: Iterable<string>,
  put: (texts: readonly string[], vectors: Float32Array) => void,
): Promise<void> {
  let batch: string[] = [];
  const flush = async () => {
    if (batch.length > 0) put(batch, await encoder.embedTexts(batch));
    batch = [];
  };
  for (const line of texts) {
    batch.push(line);
    if (batch.length === TEXTS) await flush();
  }
  await flush();
}

function* captionsOf(dataset: Dataset, skipped: readonly SkippedSample[]): Generator<string> {
  const broken = new Set(skipped.map(({ index }) => index));
  for (let i = 0; i < dataset.length; i++) if (!broken.has(i)) yield* dataset.sample(i).captions;
}

/** Gives every name once: as it is, then with #2, #3, … */
function uniqueKeys(): (name: string) => string {
  const numbers = new Map<string, number>();
  return (name) => {
    let n = numbers.get(name);
    if (n === undefined) {
      numbers.set(name, 1);
      return name;
    }
    let key: string;
    do key = `${name}#${++n}`;
    while (numbers.has(key));
    numbers.set(name, n).set(key, 1);
    return key;
  };
}

function checkOutput(output: string | undefined): void {
  if (output === undefined || /\.(npy|jsonl|ndjson)$/.test(output)) return;
  throw new UsageError(
    `--output: must end in .npy or .jsonl; got ${output}. Give the format by the file's ending.`,
  );
}

function openSink(output: string | undefined, width: number, print: (line: string) => void): Sink {
  if (output === undefined) {
    return {
      write: (rows) => print(jsonLines(rows, width)),
      commit: () => undefined,
      [Symbol.dispose]: () => undefined,
    };
  }
  if (output.endsWith(".npy")) return npySink(output, width);
  const file = new AtomicFile(output);
  return {
    write: (rows) => file.write(utf8.encode(jsonLines(rows, width))),
    commit: () => file.commit(),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

const utf8 = new TextEncoder();

/** Nine digits give every f32 back to the bit. */
const jsonLines = ({ kind, keys, vectors }: Rows, width: number): string =>
  keys
    .map((key, row) => {
      const vector = vectors.subarray(row * width, (row + 1) * width);
      const embedding = Array.from(vector, (x) => Number(x.toPrecision(9)));
      return `${JSON.stringify({ key, kind, embedding })}\n`;
    })
    .join("");

/** Rows and their keys grow beside their places, and take them together. */
function npySink(output: string, width: number): Sink {
  const temporary = `${output}.tmp`;
  const keys = new AtomicFile(`${output}.keys.txt`);
  const rows = new NpyWriter(temporary, { dtype: "f32", rowShape: [width] });
  return {
    write(batch) {
      rows.append(batch.vectors);
      keys.write(utf8.encode(batch.keys.map((key) => `${key.replace(/[\r\n]+/g, " ")}\n`).join("")));
    },
    commit() {
      rows.close();
      withFileErrors("write", output, () => renameSync(temporary, output));
      keys.commit();
    },
    [Symbol.dispose]() {
      keys[Symbol.dispose]();
      rows.close();
      rmSync(temporary, { force: true });
    },
  };
}
