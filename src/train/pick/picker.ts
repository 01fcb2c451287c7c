/**
 * Picking a batch's pairs from a super-batch (Evans et al. 2024, JEST): each is judged by its loss beside those that are
 * chosen already, the learner's as it stands, the reference's from embeddings that were made once. Towers are taken as in
 * evaluation: whole images, running statistics, no noise.
 */

import type { TypedArray } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import { sizeOfShape, type TensorType } from "../../core/shape.js";
import type { DeviceBuffer, Engine, Executable } from "../../engines/engine.js";
import { costOf } from "../../graph/cost.js";
import type { Teacher } from "../batches/teacher.js";
import { type Picking, pickWeights } from "../recipe/pick-fields.js";
import type { StepOptions } from "../step/options.js";
import { strategyOf } from "../step/options.js";
import type { StepPhase } from "../step/runner.js";
import type { RunState } from "../step/state.js";
import type { LogitValues } from "../strategies/loss.js";
import { chunkSize, drawJointly, drawKey } from "./draw.js";
import { chunkStep, type DrawSizes, firstLosses, imageTower, type Judges, textTower } from "./programs.js";

/** A reference's unit vectors of the training set, and what it makes of cosines. */
export type Reference = Readonly<Omit<Teacher, "key" | typeof Symbol.dispose>>;

export interface PickerOptions extends Picking {
  readonly step: StepOptions;
  readonly seed: number;
  /** Rows in one run of a tower. */
  readonly rows: number;
  /** Needed by what goes by a reference. */
  readonly reference?: Reference | undefined;
}

/** The S pairs of a super-batch. */
export interface Candidates {
  /** i32[S]: equal numbers are the same image. */
  readonly imageIds: Int32Array;
  /** i32[S]: equal numbers are the same caption. */
  readonly textIds: Int32Array;
  /** [S] as they are stored. */
  readonly captions: readonly string[];
  /** Samples in the training set, [S]. */
  readonly samples: ArrayLike<number>;
  /** The learner's unit vectors f32[S,E], empty where nothing goes by them. */
  readonly images: Float32Array;
  readonly texts: Float32Array;
}

/** What judges pairs: a model's unit vectors and logits. */
interface Judge extends LogitValues {
  readonly images: Float32Array;
  readonly texts: Float32Array;
}

type Buffers = Record<string, DeviceBuffer>;

interface Programs {
  readonly images: Executable | undefined;
  readonly texts: Executable | undefined;
  readonly first: Executable;
  readonly chunk: Executable;
}

/** Compiled once for each phase of a run; weights are read from its state. */
export class Picker implements Disposable {
  private constructor(
    private readonly engine: Engine,
    readonly options: PickerOptions,
    private readonly state: RunState,
    private step: StepOptions,
    private programs: Programs,
  ) {}

  static async create(engine: Engine, options: PickerOptions, state: RunState): Promise<Picker> {
    return new Picker(engine, options, state, options.step, await compileAll(engine, options, options.step));
  }

  /** Goes on by another phase of the run; see `StepRunner.follow`. */
  async follow({ clip, strategy, contextLength }: StepPhase): Promise<void> {
    if (strategy === this.step.strategy) return;
    const step = { ...this.step, clip, strategy, contextLength };
    const programs = await compileAll(this.engine, this.options, step);
    dispose(this.programs);
    this.programs = programs;
    this.step = step;
  }

  /** Multiply-adds of picking a batch, all forward: by the towers, and by the products of the candidates. */
  macs(): { readonly towers: number; readonly products: number } {
    const { superBatch, rows, size, chunks } = { ...this.options, size: this.step.batchSize };
    const of = (program: Executable | undefined) => (program === undefined ? 0 : costOf(program.graph).macs);
    const { images, texts, first, chunk } = this.programs;
    const times = Math.ceil(size / chunkSize(size, chunks)) - 1;
    return {
      towers: ((of(images) + of(texts)) * superBatch) / rows,
      products: of(first) + times * of(chunk),
    };
  }

  /** The learner's unit vectors f32[n,E] of images as the step takes them; none where nothing goes by them. */
  embedImages = (images: TypedArray): Promise<Float32Array> =>
    this.embed(this.programs.images, "images", images);

  /** The learner's unit vectors f32[n,E] of tokens i32[n,T]. */
  embedTexts = (tokens: Int32Array): Promise<Float32Array> =>
    this.embed(this.programs.texts, "tokens", tokens);

  /** The rows i32[B] of the super-batch that step `step` (from 0) is to train on, ascending. */
  async pick(step: number, candidates: Candidates): Promise<Int32Array> {
    const { superBatch: from, chunks, method, seed } = this.options;
    const size = this.step.batchSize;
    const judges = await this.judges(candidates);
    const inputs = this.upload({ imageIds: candidates.imageIds, textIds: candidates.textIds }, judges);
    let carried = this.startOfCarried(judges);
    const weights = pickWeights[method];
    const score = async (added: Int32Array): Promise<Float64Array> => {
      const { first, chunk } = this.programs;
      let outputs: Buffers;
      if (added.length === 0) outputs = await run(first, { ...inputs, ...carried });
      else {
        using chosen = this.engine.upload({ dtype: "i32", shape: [added.length] }, added, { adopt: true });
        outputs = await run(chunk, { ...inputs, ...carried, chosen });
        carried = Object.fromEntries(Object.keys(carried).map((name) => [name, outputs[`next.${name}`]!]));
      }
      const logits = new Float64Array(from);
      for (const name of Object.keys(judges) as (keyof typeof weights)[]) {
        const buffer = outputs[`losses.${name}`]!;
        const losses = await this.engine.download(buffer);
        for (let i = 0; i < from; i++) logits[i]! += weights[name] * Number(losses[i]);
        buffer[Symbol.dispose]();
      }
      return logits;
    };
    try {
      const drawn = await drawJointly({ from, size, chunks, random: drawKey(seed, step), score });
      return drawn.sort();
    } finally {
      free(inputs);
      free(carried);
    }
  }

  private async judges({
    samples,
    captions,
    images,
    texts,
  }: Candidates): Promise<Readonly<Record<string, Judge>>> {
    const { method, reference } = this.options;
    const weights = pickWeights[method];
    const learner = async (): Promise<Judge> => ({
      images,
      texts,
      ...(await this.state.logits(this.state.variables("params"))),
    });
    const referred = ({ images, texts, scale, bias = 0 }: Reference): Judge => ({
      images: images.rows(samples, captions),
      texts: texts.rows(samples, captions),
      scale,
      bias,
    });
    return {
      ...(weights.learner === 0 ? {} : { learner: await learner() }),
      ...(weights.reference === 0 ? {} : { reference: referred(requireReference(reference)) }),
    };
  }

  private upload(
    ids: Readonly<Record<string, Int32Array>>,
    judges: Readonly<Record<string, Judge>>,
  ): Buffers {
    const S = this.options.superBatch;
    const give = (type: TensorType, data: TypedArray) => this.engine.upload(type, data, { adopt: true });
    const scalar = (value: number) => give({ dtype: "f32", shape: [] }, Float32Array.of(value));
    const buffers: Buffers = {};
    for (const [name, data] of Object.entries(ids))
      buffers[name] = give({ dtype: "i32", shape: [S] }, data.slice());
    for (const [name, judge] of Object.entries(judges)) {
      for (const kind of ["images", "texts"] as const)
        buffers[`judges.${name}.features.${kind}`] = give(
          { dtype: "f32", shape: [S, judge[kind].length / S] },
          judge[kind],
        );
      buffers[`judges.${name}.logits.scale`] = scalar(judge.scale);
      buffers[`judges.${name}.logits.bias`] = scalar(judge.bias);
    }
    return buffers;
  }

  private startOfCarried(judges: Readonly<Record<string, Judge>>): Buffers {
    const S = this.options.superBatch;
    const { carried } = strategyOf(this.step).beside;
    return Object.fromEntries(
      Object.keys(judges).flatMap((judge) =>
        Object.entries(carried).map(([name, value]) => [
          `judges.${judge}.carried.${name}`,
          this.engine.upload({ dtype: "f32", shape: [S] }, new Float32Array(S).fill(value), { adopt: true }),
        ]),
      ),
    );
  }

  /** Rows in parts of the program's; the last is filled up with zeros. */
  private async embed(
    program: Executable | undefined,
    input: string,
    data: TypedArray,
  ): Promise<Float32Array> {
    if (program === undefined) return new Float32Array();
    const { rows } = this.options;
    const type = program.graph.inputs.find(({ name }) => name === input)!.tensor;
    const width = sizeOfShape(type.shape.slice(1));
    const n = data.length / width;
    const E = this.step.clip.config.embed_dim;
    const out = new Float32Array(n * E);
    const weights = Object.fromEntries(
      Object.entries(this.state.variables("params")).map(([name, buffer]) => [`params.${name}`, buffer]),
    );
    for (let at = 0; at < n; at += rows) {
      const part = new (data.constructor as new (length: number) => TypedArray)(rows * width);
      part.set(data.subarray(at * width, Math.min(n, at + rows) * width) as never);
      using given = this.engine.upload(type, part, { adopt: true });
      const { features } = await run(program, { ...weights, [input]: given });
      const found = (await this.engine.download(features!)) as Float32Array;
      out.set(found.subarray(0, Math.min(rows, n - at) * E), at * E);
      features![Symbol.dispose]();
    }
    return out;
  }

  [Symbol.dispose](): void {
    dispose(this.programs);
  }
}

async function compileAll(engine: Engine, options: PickerOptions, step: StepOptions): Promise<Programs> {
  const { method, superBatch: from, chunks, rows, reference } = options;
  const weights = pickWeights[method];
  const sizes: DrawSizes = { from, chunk: chunkSize(step.batchSize, chunks) };
  const judges: Judges = {
    beside: strategyOf(step).beside,
    widths: {
      ...(weights.learner === 0 ? {} : { learner: step.clip.config.embed_dim }),
      ...(weights.reference === 0 ? {} : { reference: requireReference(reference).images.width }),
    },
  };
  const tower = (make: typeof imageTower, name: string) =>
    weights.learner === 0 ? undefined : engine.compile(make(step, rows), { name });
  return {
    images: await tower(imageTower, "picking: image tower"),
    texts: await tower(textTower, "picking: text tower"),
    first: await engine.compile(firstLosses(judges, sizes), { name: "picking: first chunk" }),
    chunk: await engine.compile(chunkStep(judges, sizes), { name: "picking: next chunk" }),
  };
}

function requireReference(reference: Reference | undefined): Reference {
  if (reference === undefined) throw new InternalError("picker: goes by a reference, and got none");
  return reference;
}

/** Runs a program on those of `buffers` that it takes. */
const run = (program: Executable, buffers: Buffers): Promise<Buffers> =>
  program.run(Object.fromEntries(program.graph.inputs.map(({ name }) => [name, buffers[name]!])));

const dispose = (programs: Programs): void => {
  for (const program of Object.values(programs) as (Executable | undefined)[]) program?.[Symbol.dispose]();
};

const free = (buffers: Buffers): void => {
  for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
};
