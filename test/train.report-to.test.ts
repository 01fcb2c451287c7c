/** Files for other programs: they say what the run's own lines say, in one sitting or in several. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { checkRecipe } from "../src/train/recipe/recipe.js";
import { crc32c } from "../src/train/report-to/event-file.js";
import { type Line, readLines } from "../src/train/run/folder.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const STEPS = 5;

const recipe = checkRecipe({
  model: {
    embed_dim: 8,
    vision_cfg: { image_size: 16, patch_size: 4, width: 16, head_width: 8, layers: 1 },
    text_cfg: { context_length: 8, width: 16, heads: 2, layers: 1 },
  },
  ...{
    trainData: join(folder, "pairs"),
    logs: join(folder, "runs"),
    name: "run",
    vocabSize: 280,
    workers: 1,
  },
  ...{ steps: STEPS, batchSize: 8, valSplit: 0.25, valFrequency: "2 steps", saveFrequency: "2 steps" },
  ...{ logEveryNSteps: 1, threads: 1, reportTo: ["tensorboard", "csv"] },
});
const run = join(folder, "runs", "run");

/** A message of protocol buffers: the values of each field, numbers as their bytes say. */
function fieldsOf(bytes: Buffer): Map<number, (number | Buffer)[]> {
  const fields = new Map<number, (number | Buffer)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const wire = key & 7;
    const take = (length: number): Buffer => {
      at += length;
      return bytes.subarray(at - length, at);
    };
    let value: number | Buffer;
    if (wire === 0) value = varint();
    else if (wire === 1) value = take(8).readDoubleLE();
    else if (wire === 5) value = take(4).readFloatLE();
    else value = take(varint());
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

interface Event {
  readonly wallTime: number;
  readonly step: number;
  readonly version: string | undefined;
  readonly scalars: Readonly<Record<string, number>>;
  readonly images: readonly { tag: string; height: number; width: number; png: Buffer }[];
}

/** The events of a file whose checksums hold. */
function eventsIn(bytes: Buffer): Event[] {
  const mask = (crc: number) => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  const events: Event[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    assert.equal(bytes.readUInt32LE(at + 8), mask(crc32c(bytes.subarray(at, at + 8))));
    const data = bytes.subarray(at + 12, at + 12 + length);
    assert.equal(bytes.readUInt32LE(at + 12 + length), mask(crc32c(data)));
    at += 16 + length;
    const event = fieldsOf(data);
    const scalars: Record<string, number> = {};
    const images: { tag: string; height: number; width: number; png: Buffer }[] = [];
    for (const summary of event.get(5) ?? []) {
      for (const entry of fieldsOf(summary as Buffer).get(1) ?? []) {
        const value = fieldsOf(entry as Buffer);
        const tag = String(value.get(1)![0]);
        if (value.has(2)) scalars[tag] = value.get(2)![0] as number;
        for (const picture of value.get(4) ?? []) {
          const of = fieldsOf(picture as Buffer);
          images.push({
            ...{ tag, height: of.get(1)![0] as number, width: of.get(2)![0] as number },
            png: of.get(4)![0] as Buffer,
          });
        }
      }
    }
    events.push({
      wallTime: event.get(1)![0] as number,
      step: (event.get(2)?.[0] as number | undefined) ?? 0,
      version: event.get(3)?.[0] === undefined ? undefined : String(event.get(3)![0]),
      ...{ scalars, images },
    });
  }
  return events;
}

const events = (): Event[] => {
  const names = readdirSync(join(run, "tensorboard"));
  assert.equal(names.length, 1);
  assert.match(names[0]!, /^events\.out\.tfevents\.\d{10}\.clipwright$/);
  return eventsIn(readFileSync(join(run, "tensorboard", names[0]!)));
};

/** Rows of a CSV without quotes, by column. */
const rowsOf = (name: string): Record<string, string>[] => {
  const [head, ...rows] = readFileSync(join(run, name), "utf8").trimEnd().split("\r\n");
  const columns = head!.split(",");
  return rows.map((row) => Object.fromEntries(row.split(",").map((cell, i) => [columns[i]!, cell])));
};

suite("--report-to", () => {
  before(async () => {
    for (let i = 0; i < 32; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i));
      put(folder, `pairs/${i}.txt`, `picture ${i}`);
    }
    const stop = new AbortController();
    await train(recipe, { onStep: ({ step }) => step === 3 && stop.abort(), signal: stop.signal });
    const { finished } = await train(recipe);
    assert(finished);
  });

  test("checksums are CRC-32C's", () => {
    // The check value of the catalogue of CRCs, and a zero block of RFC 3720, B.4.
    assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  });

  test("CSV tables hold the lines, each once", () => {
    const lines = readLines(join(run, "metrics.jsonl"));
    assert.deepEqual(
      lines.map(({ step }) => step),
      [1, 2, 3, 4, 5],
    );
    for (const [name, of] of [
      ["metrics.csv", lines],
      ["evaluation.csv", readLines(join(run, "evaluation.jsonl"))],
    ] as const) {
      const rows = rowsOf(name);
      assert.equal(rows.length, of.length);
      for (const [i, row] of rows.entries())
        for (const [column, cell] of Object.entries(row))
          assert.equal(cell, String(of[i]![column] ?? ""), `${name}, line ${i + 2}, ${column}`);
      // No number of a line is left out.
      assert.deepEqual(
        Object.keys(of[0]!).filter((key) => !(key in rows[0]!)),
        [],
      );
    }
  });

  test("TensorBoard's events hold them too, in the order of time, with a picture", () => {
    const [first, ...rest] = events();
    assert.equal(first!.version, "brain.Event:2");
    const scalarsAt = (step: number) =>
      Object.assign({}, ...rest.filter((event) => event.step === step).map(({ scalars }) => scalars));
    const single = Math.fround;
    for (const line of readLines(join(run, "metrics.jsonl"))) {
      const { step, ...numbers } = line;
      for (const [key, value] of Object.entries(numbers))
        assert.equal(scalarsAt(step!)[`train/${key}`], single(value as number), `${key} at ${step}`);
    }
    const scores = readLines(join(run, "evaluation.jsonl"));
    assert(scores.length > 0);
    for (const { step, dataset, task, metric, value } of scores as readonly Required<Line>[])
      assert.equal(scalarsAt(step)[`${dataset}/${task}/${metric}`], single(value as number));
    const times = rest.filter(({ scalars }) => "train/loss" in scalars).map(({ wallTime }) => wallTime);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    const [picture] = rest.flatMap(({ images }) => images);
    assert.equal(picture!.tag, "data/shown");
    assert.equal(picture!.png.toString("latin1", 1, 4), "PNG");
    assert(picture!.width > 100 && picture!.height > 100);
  });
});
