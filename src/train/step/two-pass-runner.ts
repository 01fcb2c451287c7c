/** Runs train steps in two passes over parts of each batch; see `two-pass.ts`. */

import type { TypedArray } from "../../core/dtype.js";
import { InternalError, UsageError } from "../../core/errors.js";
import { sizeOfShape, type TensorType } from "../../core/shape.js";
import { leaves } from "../../core/tree.js";
import type { CompileOptions, DeviceBuffer, Engine, Executable } from "../../engines/engine.js";
import type { Graph } from "../../graph/graph.js";
import { isTensorType } from "../../graph/trace.js";
import { parameterTypes } from "../../nn/parameters.js";
import { batchTypes, extraTypes, learning, strategyOf, variablesOf } from "./options.js";
import type { HostBatch, RunningStep, StepMetrics, StepPhase } from "./runner.js";
import { RunState } from "./state.js";
import {
  blockRows,
  featureTypes,
  imagesBackward,
  imagesForward,
  learns,
  lossBlock,
  parametersOf,
  type TwoPassOptions,
  textsBackward,
  textsForward,
  updateStep,
} from "./two-pass.js";

/** A batch that is read in parts of `microBatch` rows. */
export interface BatchParts {
  /**
   * Part `index`: asked for in order, all of them twice, with the same rows and noise each time. Its arrays are read
   * until the next is asked for.
   */
  part(index: number): Promise<HostBatch>;
}

/** Those of a second pass are absent where nothing of their tower is trained. */
interface Programs {
  readonly imagesForward: Executable;
  readonly imagesBackward: Executable | undefined;
  readonly textsForward: Executable;
  readonly textsBackward: Executable | undefined;
  readonly loss: Executable;
  readonly update: Executable;
  /** Types of one replica's rows of a part. */
  readonly imageFeatures: Readonly<Record<string, TensorType>>;
  readonly textFeatures: Readonly<Record<string, TensorType>>;
}

type Buffers = Record<string, DeviceBuffer>;

/** Like `StepRunner`, for batches of any size: the engine holds one part of them at a time. */
export class TwoPassRunner implements Disposable {
  private constructor(
    private readonly engine: Engine,
    private options: TwoPassOptions,
    private programs: Programs,
    readonly state: RunState,
    private readonly compile: Compile,
  ) {}

  /** See `StepRunner.create`. Throws `UsageError` where the parts do not fit the batch or the devices. */
  static async create(
    engine: Engine,
    options: TwoPassOptions,
    initial: Readonly<Record<string, TypedArray>>,
    { flags }: Pick<CompileOptions, "flags"> = {},
  ): Promise<TwoPassRunner> {
    checkParts(options);
    const compile: Compile = (graph, name) => engine.compile(graph, { name, flags });
    const programs = await compileAll(compile, options);
    return new TwoPassRunner(engine, options, programs, new RunState(engine, options, initial), compile);
  }

  /** See `StepRunner.follow`. */
  async follow({ clip, strategy, contextLength }: StepPhase): Promise<void> {
    if (strategy === this.options.strategy) return;
    const options = { ...this.options, clip, strategy, contextLength };
    const programs = await compileAll(this.compile, options);
    dispose(this.programs);
    this.programs = programs;
    this.options = options;
  }

  /** The programs as compiled, by name. */
  get graphs(): Readonly<Record<string, Graph>> {
    return Object.fromEntries(executables(this.programs).map(([name, { graph }]) => [name, graph]));
  }

  /** As `StepRunner.start`, but the step is done when it returns. */
  async start(batch: BatchParts, scalars: Readonly<Record<string, number>>): Promise<RunningStep> {
    const metrics = await this.step(batch, scalars);
    return { metrics: Promise.resolve(metrics) };
  }

  /** One step. `scalars` are the optimizer's of this step, and `emaDecay` where an average is kept. */
  async step(batch: BatchParts, scalars: Readonly<Record<string, number>>): Promise<StepMetrics> {
    const { batchSize: B } = this.options;
    const rows = await this.encode(batch);
    const sums = this.zeros(
      parameterTypes(learning(variablesOf(this.options).parameters, this.options)),
      "gradients",
    );
    const { loss, d } = await this.compare(rows, sums);
    for (let part = 0; part < B / this.options.microBatch; part++)
      await this.backImages(await batch.part(part), part, d, sums);
    await this.backTexts(rows.tokens, d, sums);
    const values = this.scalars(scalars);
    const {
      "metrics.gradientNorm": norm,
      "metrics.logitScale": scale,
      ...next
    } = await this.programs.update.run(
      pick(this.programs.update, { ...this.state.buffers, ...sums, ...values }),
    );
    free({ ...sums, ...values });
    this.state.advance(next);
    return { loss, gradientNorm: await this.readScalar(norm!), logitScale: await this.readScalar(scale!) };
  }

  /** First pass: the rows that the loss compares, and what else of the batch is needed afterwards. */
  private async encode(batch: BatchParts): Promise<EncodedBatch> {
    const { batchSize: B, microBatch: M, contextLength: T } = this.options;
    const { imageFeatures, textFeatures, ...programs } = this.programs;
    const features: Record<string, Float32Array> = {};
    const room = (name: string, type: TensorType) => {
      features[name] ??= new Float32Array(B * widthOf(type));
      return features[name];
    };
    const tokens = new Int32Array(B * T);
    const imageIds = new Int32Array(B);
    const textIds = new Int32Array(B);
    const extra = Object.fromEntries(
      Object.entries(extraTypes(strategyOf(this.options), B)).map(([name, { shape }]) => [
        name,
        new Float32Array(sizeOfShape(shape)),
      ]),
    );
    const keep = async (outputs: Buffers, types: Readonly<Record<string, TensorType>>, first: number) => {
      for (const [name, type] of Object.entries(types)) {
        const buffer = outputs[`features.${name}`]!;
        const data = (await this.engine.download(buffer, { each: true })) as Float32Array;
        room(name, type).set(data, first * widthOf(type));
        buffer[Symbol.dispose]();
      }
    };
    for (let first = 0; first < B; first += M) {
      const part = await batch.part(first / M);
      tokens.set(part.tokens, first * T);
      imageIds.set(part.imageIds, first);
      textIds.set(part.textIds, first);
      for (const [name, rows] of Object.entries(extra))
        rows.set(part.extra![name]!, (first * rows.length) / B);
      const inputs = this.imageInputs(part);
      const run = pick(programs.imagesForward, { ...this.state.buffers, ...inputs });
      await keep(await programs.imagesForward.run(run), imageFeatures, first);
      free(inputs);
    }
    const textPart = this.options.textMicroBatch ?? M;
    for (let first = 0; first < B; first += textPart) {
      const inputs = this.textInputs(tokens, first);
      const run = pick(programs.textsForward, { ...this.state.buffers, ...inputs });
      await keep(await programs.textsForward.run(run), textFeatures, first);
      free(inputs);
    }
    return { features, extra, tokens, imageIds, textIds };
  }

  /** The loss, the cotangents of all rows, and, in `sums`, the gradients of the logits' parameters. */
  private async compare(
    { features, extra, imageIds, textIds }: EncodedBatch,
    sums: Buffers,
  ): Promise<{ readonly loss: number; readonly d: Record<string, Float32Array> }> {
    const { batchSize: B } = this.options;
    const { loss: program, imageFeatures, textFeatures } = this.programs;
    const types = wholeBatch({ ...imageFeatures, ...textFeatures }, B);
    const ids: TensorType = { dtype: "i32", shape: [B] };
    const fixed: Buffers = {
      imageIds: this.engine.upload(ids, imageIds, { adopt: true }),
      textIds: this.engine.upload(ids, textIds, { adopt: true }),
    };
    for (const [name, type] of Object.entries(types))
      fixed[`features.${name}`] = this.engine.upload(type, features[name]!, { adopt: true });
    for (const [name, type] of Object.entries(extraTypes(strategyOf(this.options), B)))
      fixed[`extra.${name}`] = this.engine.upload(type, extra[name]!, { adopt: true });
    const logits = Object.keys(parametersOf(this.options, "logits")).map((name) => `gradients.${name}`);
    const running: Buffers = {
      ...this.zeros(types, "d"),
      loss: this.engine.upload({ dtype: "f32", shape: [] }, new Float32Array(1)),
    };
    for (const name of logits) running[name] = sums[name]!;
    const b = blockRows(this.options);
    for (let first = 0; first < B; first += b) {
      const places = Int32Array.from({ length: b }, (_, i) => first + i);
      using rows = this.engine.upload({ dtype: "i32", shape: [b] }, places, { adopt: true });
      const outputs = await program.run(pick(program, { ...this.state.buffers, ...fixed, ...running, rows }));
      takeNext(running, outputs);
    }
    for (const name of logits) {
      sums[name] = running[name]!;
      delete running[name];
    }
    const d: Record<string, Float32Array> = {};
    for (const name of Object.keys(types))
      d[name] = ((await this.engine.download(running[`d.${name}`]!)) as Float32Array).slice();
    const { loss, ...rest } = running;
    free({ ...fixed, ...rest });
    return { loss: await this.readScalar(loss!), d };
  }

  /** Second pass of one part of the images: adds to their gradients, and moves the running statistics on. */
  private async backImages(
    part: HostBatch,
    index: number,
    d: Readonly<Record<string, Float32Array>>,
    sums: Buffers,
  ): Promise<void> {
    const { imagesBackward: program, imageFeatures } = this.programs;
    if (program === undefined) return;
    const inputs = {
      ...this.imageInputs(part),
      ...this.cotangents(imageFeatures, d, index * this.options.microBatch),
    };
    const outputs = await program.run(pick(program, { ...this.state.buffers, ...inputs, ...sums }));
    free(inputs);
    takeNext(sums, outputs);
    this.state.advance(outputs);
  }

  private async backTexts(
    tokens: Int32Array,
    d: Readonly<Record<string, Float32Array>>,
    sums: Buffers,
  ): Promise<void> {
    const { batchSize: B, microBatch } = this.options;
    const { textsBackward: program, textFeatures } = this.programs;
    if (program === undefined) return;
    for (let first = 0; first < B; first += this.options.textMicroBatch ?? microBatch) {
      const inputs = { ...this.textInputs(tokens, first), ...this.cotangents(textFeatures, d, first) };
      takeNext(sums, await program.run(pick(program, { ...this.state.buffers, ...inputs, ...sums })));
      free(inputs);
    }
  }

  private imageInputs(part: HostBatch): Buffers {
    const { images, views, noise } = batchTypes({ ...this.options, batchSize: this.options.microBatch });
    const entries: readonly (readonly [string, TensorType, TypedArray | undefined])[] = [
      ["images", images, part.images],
      ...views.map((type, i) => [`views.${i}`, type, part.views?.[i]] as const),
      ...Object.entries(noise).map(([name, type]) => [`noise.${name}`, type, part.noise?.[name]] as const),
    ];
    return Object.fromEntries(
      entries.map(([name, type, data]) => {
        if (data === undefined) throw new InternalError(`train step: the batch has no ${name}`);
        return [`batch.${name}`, this.engine.upload(type, data, { adopt: true, each: true })];
      }),
    );
  }

  private textInputs(tokens: Int32Array, first: number): Buffers {
    const { microBatch, textMicroBatch = microBatch, contextLength: T } = this.options;
    const { tokens: type } = batchTypes({ ...this.options, batchSize: textMicroBatch });
    const own = tokens.slice(first * T, (first + textMicroBatch) * T);
    return { "batch.tokens": this.engine.upload(type, own, { adopt: true, each: true }) };
  }

  /** Cotangents of a part's rows from `first` on. */
  private cotangents(
    types: Readonly<Record<string, TensorType>>,
    d: Readonly<Record<string, Float32Array>>,
    first: number,
  ): Buffers {
    const { replicas = 1 } = this.options;
    return Object.fromEntries(
      Object.entries(types).map(([name, type]) => {
        const from = first * widthOf(type);
        const own = d[name]!.slice(from, from + replicas * sizeOfShape(type.shape));
        return [`d.${name}`, this.engine.upload(type, own, { adopt: true, each: true })];
      }),
    );
  }

  private zeros(types: Readonly<Record<string, TensorType>>, group: string): Buffers {
    return Object.fromEntries(
      leaves(types, isTensorType).map(({ path, value }) => [
        `${group}.${path}`,
        this.engine.upload(value, new Float32Array(sizeOfShape(value.shape)), { adopt: true }),
      ]),
    );
  }

  private scalars(values: Readonly<Record<string, number>>): Buffers {
    const type: TensorType = { dtype: "f32", shape: [] };
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        `scalars.${name}`,
        this.engine.upload(type, Float32Array.of(value), { adopt: true }),
      ]),
    );
  }

  private async readScalar(buffer: DeviceBuffer): Promise<number> {
    const [value] = await this.engine.download(buffer);
    buffer[Symbol.dispose]();
    return Number(value);
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
    dispose(this.programs);
  }
}

interface EncodedBatch {
  /** f32[B,…] by name, flat. */
  readonly features: Readonly<Record<string, Float32Array>>;
  /** What the loss has beside them, f32[B,…] by name, flat. */
  readonly extra: Readonly<Record<string, Float32Array>>;
  readonly tokens: Int32Array;
  readonly imageIds: Int32Array;
  readonly textIds: Int32Array;
}

function checkParts({
  batchSize,
  microBatch,
  textMicroBatch = microBatch,
  replicas = 1,
}: TwoPassOptions): void {
  for (const [name, size] of [
    ["microBatch", microBatch],
    ["textMicroBatch", textMicroBatch],
  ] as const) {
    if (batchSize % size !== 0) {
      throw new UsageError(
        `${name}: must divide the batch; got ${name}=${size}, batchSize=${batchSize}. Choose powers of two.`,
      );
    }
    if (size % replicas !== 0) {
      throw new UsageError(
        `${name}: the devices must divide it; got ${name}=${size}, devices=${replicas}. Choose a multiple of ${replicas}.`,
      );
    }
  }
}

type Compile = (graph: Graph, name: string) => Promise<Executable>;

async function compileAll(compile: Compile, options: TwoPassOptions): Promise<Programs> {
  const images = imagesForward(options);
  const texts = textsForward(options);
  const imageFeatures = featureTypes(images);
  const textFeatures = featureTypes(texts);
  const all = wholeBatch({ ...imageFeatures, ...textFeatures }, options.batchSize);
  return {
    imageFeatures,
    textFeatures,
    imagesForward: await compile(images, "images forward"),
    imagesBackward: learns(options, "image")
      ? await compile(imagesBackward(options, imageFeatures), "images backward")
      : undefined,
    textsForward: await compile(texts, "texts forward"),
    textsBackward: learns(options, "text")
      ? await compile(textsBackward(options, textFeatures), "texts backward")
      : undefined,
    loss: await compile(lossBlock(options, all), "loss"),
    update: await compile(updateStep(options), "update"),
  };
}

const executables = ({ imageFeatures: _, textFeatures: __, ...programs }: Programs): [string, Executable][] =>
  Object.entries(programs as Readonly<Record<string, Executable | undefined>>).flatMap(([name, program]) =>
    program === undefined ? [] : [[name, program]],
  );

const dispose = (programs: Programs): void => {
  for (const [, executable] of executables(programs)) executable[Symbol.dispose]();
};

const widthOf = ({ shape }: TensorType): number => sizeOfShape(shape.slice(1));

/** Types of rows for the whole batch. */
const wholeBatch = (types: Readonly<Record<string, TensorType>>, B: number): Record<string, TensorType> =>
  Object.fromEntries(
    Object.entries(types).map(([name, { dtype, shape }]) => [name, { dtype, shape: [B, ...shape.slice(1)] }]),
  );

/** What a program takes of `buffers`. */
const pick = ({ graph }: Executable, buffers: Buffers): Buffers =>
  Object.fromEntries(graph.inputs.map(({ name }) => [name, buffers[name]!]));

/** Puts the outputs `next.NAME` in the place of what they are the next of, where it is among `held`. */
function takeNext(held: Buffers, outputs: Buffers): void {
  for (const name of Object.keys(held)) held[name] = outputs[`next.${name}`] ?? held[name]!;
}

const free = (buffers: Buffers): void => {
  for (const buffer of Object.values(buffers)) buffer[Symbol.dispose]();
};
