/** `clipwright embed MODEL`: images and texts to unit vectors. */

import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { NpyWriter } from "../../core/npy.js";
import { openDataset } from "../../data/index.js";
import { OnnxRuntime } from "../../engines/onnxruntime.js";
import { loadModel } from "../../evaluate/load-model.js";
import { defaulted, flag, list, optional, text } from "../../train/fields.js";
import { defineCommand } from "../command.js";
import { modelOptions } from "./evaluate.js";

interface Row {
  readonly key: string;
  readonly vector: Float32Array;
}

export const embedCommand = defineCommand({
  name: "embed",
  summary: "Write the vectors of images and texts, as JSON lines or .npy.",
  description:
    "MODEL is a run's folder, or a .safetensors file with open_clip's names (with --model and --tokenizer). Vectors have length 1.",
  positionals: [{ name: "MODEL", doc: "Run, checkpoint or .safetensors file.", required: true }],
  options: {
    Input: {
      images: optional(list(text("SOURCE"), { separator: "::" }), "Images: a folder, table or tars."),
      texts: optional(text("FILE"), "Texts, one a line."),
      text: optional(text("TEXT"), "One text."),
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
    if (options.images === undefined && options.texts === undefined && options.text === undefined) {
      throw new UsageError("embed: nothing to embed; got no --images, --texts or --text. Add one.");
    }
    await using engine = new OnnxRuntime({ threads: options.threads });
    const { encoder: loaded } = await loadModel(engine, { path, ...options });
    using encoder = loaded;
    const width = encoder.options.clip.config.embed_dim;
    const texts = [
      ...(options.text === undefined ? [] : [options.text]),
      ...(options.texts === undefined ? [] : linesOf(options.texts)),
    ];
    async function* rows(): AsyncGenerator<Row> {
      if (options.images !== undefined) {
        const dataset = await openDataset(options.images);
        const { features, indices, skipped } = await encoder.embedDataset(dataset);
        for (const { key, reason } of skipped) terminal.err(`Skipped ${key}: ${reason}\n`);
        for (const [row, index] of indices.entries()) {
          yield {
            key: dataset.sample(index).key,
            vector: features.data.subarray(row * width, (row + 1) * width),
          };
        }
        if (options.captions) for (const index of indices) texts.push(...dataset.sample(index).captions);
      }
      const vectors = texts.length === 0 ? new Float32Array() : await encoder.embedTexts(texts);
      for (const [i, key] of texts.entries())
        yield { key, vector: vectors.subarray(i * width, (i + 1) * width) };
    }
    const count = await write(rows(), options.output, width, (line) => terminal.out(line));
    if (options.output !== undefined) terminal.err(`${count} vectors of ${width} in ${options.output}\n`);
    return 0;
  },
});

const linesOf = (file: string): string[] =>
  withFileErrors("read", file, () => readFileSync(file, "utf8"))
    .split(/\r?\n/)
    .filter((line) => line !== "");

async function write(
  rows: AsyncIterable<Row>,
  output: string | undefined,
  width: number,
  print: (line: string) => void,
): Promise<number> {
  let count = 0;
  if (output?.endsWith(".npy")) {
    using file = new NpyWriter(output, { dtype: "f32", rowShape: [width] });
    const keys = createWriteStream(`${output}.keys.txt`);
    for await (const { key, vector } of rows) {
      file.append(vector);
      keys.write(`${key.replaceAll("\n", " ")}\n`);
      count++;
    }
    keys.end();
    await once(keys, "finish");
    return count;
  }
  const stream = output === undefined ? undefined : createWriteStream(output);
  for await (const { key, vector } of rows) {
    const line = `${JSON.stringify({ key, embedding: Array.from(vector) })}\n`;
    if (stream === undefined) print(line);
    else stream.write(line);
    count++;
  }
  if (stream !== undefined) {
    stream.end();
    await once(stream, "finish");
  }
  return count;
}
