/**
 * What a study's run came to, in `result.json` of its folder: scores with what was averaged (for paired comparisons), and what the run
 * spent. A run with a result is done; one without is begun or continued.
 */

import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { namesIn, textOf } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import type { ScoredRun } from "../../evaluate/compare.js";
import { type EvaluationRecord, parseEvaluation } from "../../evaluate/records.js";
import type { ScoredTask } from "../../evaluate/suites/score.js";
import type { TaskScore } from "../../evaluate/tasks/task.js";
import type { Study } from "../design/study.js";
import { type MadeFrom, madeFromSchema } from "./made-from.js";

export interface RunResult {
  readonly samples: number;
  /** Multiply-adds of the forward passes, 10⁹. */
  readonly gmacs: number;
  /** Training alone, all sittings together. */
  readonly seconds: number;
  /** Beginning, training and scoring; undefined where the run had several sittings. */
  readonly wholeSeconds?: number | undefined;
  /** What `wholeSeconds` were predicted to be; undefined where that could not be measured. */
  readonly predictedSeconds?: number | undefined;
  /** Processes that wanted a core when it ended: the machine's load, mean over five minutes. */
  readonly load?: number | undefined;
  /** Most main memory of the process while it trained and scored, in its last sitting. */
  readonly memoryBytes?: number | undefined;
  /** Undefined of results that were written before this was told. */
  readonly madeFrom?: MadeFrom | undefined;
  readonly records: readonly EvaluationRecord[];
  readonly scored: readonly Omit<ScoredRun, "run" | "recipe">[];
}

const FORMAT = 1;
const FILE = "result.json";

const numbers = z.string();
const schema = z.object({
  format: z.literal(FORMAT),
  samples: z.number(),
  gmacs: z.number(),
  seconds: z.number(),
  wholeSeconds: z.number().optional(),
  predictedSeconds: z.number().optional(),
  load: z.number().optional(),
  memoryBytes: z.number().optional(),
  madeFrom: madeFromSchema.optional(),
  records: z.array(z.unknown()),
  scored: z.array(
    z.object({
      dataset: z.string(),
      task: z.string(),
      scores: z.array(
        z.object({
          metric: z.string(),
          score: z.object({ value: z.number(), low: z.number(), high: z.number(), n: z.number() }),
          chance: z.number().optional(),
          items: z.object({ values: numbers, samples: numbers, weights: numbers.optional() }).optional(),
        }),
      ),
    }),
  ),
});

/** What a result says of a model's scores. */
export const scoresOf = (scored: readonly ScoredTask[]): Pick<RunResult, "records" | "scored"> => ({
  records: scored.flatMap(({ records }) => records),
  scored: scored.map(({ dataset, task, scores }) => ({ dataset, task, scores })),
});

/** Typed numbers as text: base64 of their bytes, little-endian. */
const written = (values: Float64Array | Uint32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

function bytes(text: string): ArrayBuffer {
  const read = Buffer.from(text, "base64");
  return read.buffer.slice(read.byteOffset, read.byteOffset + read.byteLength) as ArrayBuffer;
}

/** Writes the result of a run; it appears whole or not at all. */
export function writeResult(run: string, { records, scored, ...spent }: RunResult): void {
  const scores = ({ metric, score, chance, items }: TaskScore) => ({
    metric,
    score,
    ...(chance !== undefined && { chance }),
    ...(items && {
      items: {
        values: written(items.values),
        samples: written(items.samples),
        ...(items.weights && { weights: written(items.weights) }),
      },
    }),
  });
  const value = {
    format: FORMAT,
    ...spent,
    records,
    scored: scored.map(({ dataset, task, scores: all }) => ({ dataset, task, scores: all.map(scores) })),
  };
  writeFileAtomic(join(run, FILE), `${JSON.stringify(value)}\n`);
}

/** The result of a run; undefined where it has none. Throws `UsageError` where the file is damaged. */
export function readResult(run: string): RunResult | undefined {
  const file = join(run, FILE);
  const text = textOf(file);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const { success, data } = schema.safeParse(value);
  if (!success)
    throw new UsageError(
      `${file}: must hold a run's result; got something else. Remove it, and the run is scored again.`,
      {
        file,
      },
    );
  const { format: _, records, scored, ...spent } = data;
  return {
    ...spent,
    records: parseEvaluation(records.map((record) => `${JSON.stringify(record)}\n`).join(""), file),
    scored: scored.map(({ dataset, task, scores }) => ({
      dataset,
      task,
      scores: scores.map(({ items, chance, ...score }) => ({
        ...score,
        ...(chance !== undefined && { chance }),
        ...(items && {
          items: {
            values: new Float64Array(bytes(items.values)),
            samples: new Uint32Array(bytes(items.samples)),
            ...(items.weights !== undefined && { weights: new Float64Array(bytes(items.weights)) }),
          },
        }),
      })),
    })),
  };
}

/**
 * The deciding scores of the runs of all studies beside that in `folder`, on a set of the same name. `group`: runs of one study that
 * differ in their seed alone. Results that cannot be read are passed over.
 */
export function earlierScores(
  folder: string,
  { score: { set, metric } }: Pick<Study, "score">,
): { readonly group: string; readonly value: number }[] {
  const studies = dirname(folder);
  const others = namesIn(studies).filter((other) => other !== basename(folder));
  return others.flatMap((other) =>
    namesIn(join(studies, other, "runs")).flatMap((run) => {
      if (!/-\d+$/.test(run)) return [];
      const value = tryRead(join(studies, other, "runs", run))
        ?.records.filter((record) => record.dataset === set && record.metric === metric)
        .at(-1)?.value;
      return value === undefined ? [] : [{ group: `${other}/${run.replace(/-\d+$/, "")}`, value }];
    }),
  );
}

function tryRead(run: string): RunResult | undefined {
  try {
    return readResult(run);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}
