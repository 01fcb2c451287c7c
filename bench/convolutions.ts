/**
 * Every way to write a convolution and its gradients, and the gradient of max pooling, in turns in one process, and which
 * the cost rules choose (`src/graph/ops/convolve-onnx/`, `pool-onnx.ts`) by the engine's rates (`src/graph/emit/dialect.ts`).
 *
 *     npx tsc -p . && node dist/bench/convolutions.js [--engine openvino [--bf16]] [--only "depthwise|64 px"] \
 *       [--op convKernelGrad] [--rounds 3] [--threads 2]
 *
 * GFLOP/s (two a multiply-add) of the fastest round, milliseconds for pooling; the rule's choice in **bold**; `share` is the
 * best way's time over the chosen one's.
 */

import { parseArgs } from "node:util";
import { encode } from "../src/core/dtype.js";
import { sizeOfShape, type TensorType } from "../src/core/shape.js";
import { channelBlock } from "../src/engines/channel-block.js";
import type { DeviceBuffer, Executable } from "../src/engines/engine.js";
import { openEngine } from "../src/engines/registry.js";
import type { Arg, OnnxContext } from "../src/graph/emit/context.js";
import { onnxRuntimeDialect, openVinoDialect } from "../src/graph/emit/dialect.js";
import type { AnyOp, Attrs } from "../src/graph/op.js";
import { forwardWays } from "../src/graph/ops/convolve-onnx/forward.js";
import { imageWays } from "../src/graph/ops/convolve-onnx/image.js";
import { kernelWays } from "../src/graph/ops/convolve-onnx/kernel.js";
import { type Convolution, cheapest } from "../src/graph/ops/convolve-onnx/way.js";
import { allOps, inputTensor, maxPool, slice } from "../src/graph/ops/index.js";
import { cheapestPoolGradient, poolGradientWays } from "../src/graph/ops/pool-onnx.js";
import { apply } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    op: { type: "string", default: "" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    engine: { type: "string", default: "onnxruntime" },
    bf16: { type: "boolean", default: false },
  },
});

const dtype = values.bf16 ? "bf16" : "f32";

const convolution = (
  B: number,
  [C, size, O]: readonly [number, number, number],
  options: { kernel?: number; stride?: number; padding?: number; groups?: number } = {},
): Convolution => {
  const { kernel: side = 3, stride = 1, padding = side >> 1, groups = 1 } = options;
  const out = Math.floor((size + 2 * padding - side) / stride) + 1;
  return {
    ...{ B, C, H: size, W: size, O, h: out, v: out },
    ...{ kernel: [side, side], stride: [stride, stride], padding: new Array<number>(4).fill(padding) },
    ...{ groups, dtype },
  };
};
const depthwise = (
  B: number,
  C: number,
  size: number,
  kernel: number,
  stride = 1,
  padding = kernel >> 1,
): Convolution => convolution(B, [C, size, C], { kernel, stride, padding, groups: C });

const shapes: Readonly<Record<string, Convolution>> = {
  "ResNet-50 stem 7×7/2": convolution(8, [3, 224, 64], { kernel: 7, stride: 2 }),
  "ResNet-50 56 px, 64": convolution(8, [64, 56, 64]),
  "ResNet-50 56 px, 256 to 64, 1×1": convolution(8, [256, 56, 64], { kernel: 1 }),
  "ResNet-50 56 px, 128, /2": convolution(8, [128, 56, 128], { stride: 2 }),
  "ResNet-50 28 px, 128": convolution(8, [128, 28, 128]),
  "ResNet-50 28 px, 512 to 1024, 1×1/2": convolution(8, [512, 28, 1024], { kernel: 1, stride: 2 }),
  "ResNet-50 14 px, 256": convolution(8, [256, 14, 256]),
  "ResNet-50 14 px, 1024 to 256, 1×1": convolution(8, [1024, 14, 256], { kernel: 1 }),
  "ResNet-50 14 px, 512, /2": convolution(8, [512, 14, 512], { stride: 2 }),
  "ResNet-50 7 px, 512": convolution(8, [512, 7, 512]),
  "ResNet-50 7 px, 2048 to 512, 1×1": convolution(8, [2048, 7, 512], { kernel: 1 }),
  "CLIP RN50 stem 1, 3×3/2": convolution(8, [3, 224, 32], { stride: 2 }),
  "CLIP RN50 stem 2, 112 px, 32": convolution(8, [32, 112, 32]),
  "CLIP RN50 56 px, depthwise means of 2×2": depthwise(8, 256, 56, 2, 2, 0),
  "ConvNeXt-T stem, patches of 4": convolution(8, [3, 224, 96], { kernel: 4, stride: 4, padding: 0 }),
  "ConvNeXt-T 56 px, patches of 2": convolution(8, [96, 56, 192], { kernel: 2, stride: 2, padding: 0 }),
  "ConvNeXt-T 14 px, patches of 2": convolution(8, [384, 14, 768], { kernel: 2, stride: 2, padding: 0 }),
  "ConvNeXt-T 56 px, depthwise 7×7": depthwise(8, 96, 56, 7),
  "ConvNeXt-T 28 px, depthwise 7×7": depthwise(8, 192, 28, 7),
  "ConvNeXt-T 14 px, depthwise 7×7": depthwise(8, 384, 14, 7),
  "ConvNeXt-T 7 px, depthwise 7×7": depthwise(8, 768, 7, 7),
  "small 32 px, stem": convolution(128, [3, 32, 32]),
  "small 16 px, 32": convolution(256, [32, 16, 32]),
  "small 16 px, 64": convolution(64, [64, 16, 64]),
  "small 16 px, 64, /2": convolution(128, [64, 16, 128], { stride: 2 }),
  "small 16 px, 40": convolution(128, [40, 16, 40]),
  "small 8 px, 128": convolution(128, [128, 8, 128]),
  "small 8 px, 256 to 64, 1×1": convolution(128, [256, 8, 64], { kernel: 1 }),
  "small 4 px, 256": convolution(256, [256, 4, 256]),
  "small 16 px, depthwise 3×3": depthwise(128, 64, 16, 3),
  "small 16 px, depthwise 3×3/2": depthwise(128, 64, 16, 3, 2),
  "small 16 px, depthwise 7×7": depthwise(64, 64, 16, 7),
  "small 16 px, depthwise 7×7, 40 channels": depthwise(64, 40, 16, 7),
  "small 8 px, depthwise 7×7": depthwise(256, 128, 8, 7),
  "small 4 px, depthwise 7×7": depthwise(256, 256, 4, 7),
};

const typed = (shape: number[]): TensorType => ({ dtype, shape });
const image = ({ B, C, H, W }: Convolution) => typed([B, C, H, W]);
const kernel = ({ O, C, groups, kernel: k }: Convolution) => typed([O, C / groups, ...k]);
const result = ({ B, O, h, v }: Convolution) => typed([B, O, h, v]);

const products = [
  { op: "conv", ways: forwardWays, operands: [image, kernel], size: () => undefined },
  {
    op: "convInputGrad",
    ways: imageWays,
    operands: [result, kernel],
    size: (of: Convolution) => [of.H, of.W],
  },
  { op: "convKernelGrad", ways: kernelWays, operands: [image, result], size: (of: Convolution) => of.kernel },
] as const;

const engine = await openEngine(values.engine, { threads: Number(values.threads), cache: false });
const dialect = values.engine === "openvino" ? openVinoDialect : onnxRuntimeDialect(await channelBlock());

const upload = (type: TensorType): DeviceBuffer =>
  engine.upload(
    type,
    encode(
      type.dtype,
      Float32Array.from({ length: sizeOfShape(type.shape) }, () => Math.random() - 0.5),
    ),
  );

/** How a way writes the record from its operands. */
type Write = (b: OnnxContext, operands: readonly Arg[]) => string;

/** The program that does one thing one way and gives back a single number of it. */
function program(
  op: string,
  operands: readonly TensorType[],
  attrs: Attrs,
  write: Write,
): Promise<Executable> {
  const record = allOps.find(({ name }) => name === op)!;
  const forced: AnyOp = { ...record, onnx: (b, args) => [write(b, args)] };
  const graph = trace({ left: operands[0]!, right: operands[1]! }, (inputs) => {
    let y = apply(forced, [inputs.left, inputs.right], attrs)[0]!;
    for (let axis = 0; axis < y.rank; axis++) y = slice(y, axis, 0, 1);
    return { y };
  });
  return engine.compile(graph);
}

/** Milliseconds of the fastest round of each way, in turns. */
async function fastest(
  op: string,
  operands: readonly TensorType[],
  attrs: Attrs,
  ways: readonly Write[],
): Promise<number[]> {
  using left = upload(operands[0]!);
  using right = upload(operands[1]!);
  const runs: { executable: Executable; best: number }[] = [];
  for (const way of ways)
    runs.push({ executable: await program(op, operands, attrs, way), best: Number.POSITIVE_INFINITY });
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const run of runs) {
      const start = performance.now();
      const { y } = await run.executable.run({ left, right });
      await engine.download(y!);
      y![Symbol.dispose]();
      if (round > 0) run.best = Math.min(run.best, performance.now() - start);
    }
  }
  for (const { executable } of runs) executable[Symbol.dispose]();
  return runs.map((run) => run.best);
}

const write = (line: string) => process.stdout.write(`${line}\n`);
const titles = (op: string, ways: readonly { readonly name: string }[]) => {
  write(`\n${op}\n\n| shape | ${ways.map((way) => way.name).join(" | ")} | share |`);
  write(`|---|${ways.map(() => "---:|").join("")}---:|`);
};

/** One line: `text` of each way's milliseconds, the chosen one's in bold. */
function row<W>(
  shape: string,
  ways: readonly W[],
  fit: readonly W[],
  chosen: W,
  times: readonly number[],
  text: (ms: number) => string,
) {
  const timeOf = (way: W) => times[fit.indexOf(way)];
  const cells = ways.map((way) => {
    const ms = timeOf(way);
    if (ms === undefined) return "–";
    return way === chosen ? `**${text(ms)}**` : text(ms);
  });
  write(`| ${shape} | ${cells.join(" | ")} | ${(Math.min(...times) / timeOf(chosen)!).toFixed(2)} |`);
}

const only = new RegExp(values.only);
const rounded = (n: number): string => n.toFixed(n < 10 ? 1 : 0);

for (const { op, ways, operands, size } of products) {
  if (!op.includes(values.op)) continue;
  titles(op, ways);
  for (const [name, of] of Object.entries(shapes)) {
    if (!only.test(name)) continue;
    const fit = ways.filter((way) => way.estimate(of, dialect) !== undefined);
    const { stride, padding, groups } = of;
    const given = size(of);
    const attrs: Attrs = {
      stride,
      padding,
      groups,
      out: dtype,
      ...(given === undefined ? {} : { size: given }),
    };
    const writes = fit.map(
      (way): Write =>
        (b, [x, y]) =>
          way.write(b, [x!.name, y!.name], of),
    );
    const types = operands.map((type) => type(of));
    const times = await fastest(op, types, attrs, writes);
    const flops = 2 * sizeOfShape(result(of).shape) * sizeOfShape(kernel(of).shape.slice(1));
    row(name, ways, fit, cheapest(ways, of, dialect), times, (ms) => rounded(flops / ms / 1e6));
  }
}

const pools: Readonly<Record<string, { readonly x: readonly number[]; readonly side: number }>> = {
  "ResNet-50 stem, 3×3/2": { x: [8, 64, 112, 112], side: 3 },
  "small 32 px, 2×2/2": { x: [128, 32, 32, 32], side: 2 },
};
if ("maxPoolGrad".includes(values.op)) titles("maxPoolGrad, milliseconds", poolGradientWays);
for (const [name, { x, side }] of Object.entries(pools)) {
  if (!only.test(name) || !"maxPoolGrad".includes(values.op)) continue;
  const attrs = { kernel: [side, side], stride: [2, 2], padding: new Array<number>(4).fill(side - 2) };
  const image = typed([...x]);
  const types = [image, typed(maxPool(inputTensor("x", image), attrs).shape.slice())];
  const [left, right] = types.map((type, i): Arg => ({ ...type, name: `x${i}` }));
  const times = await fastest(
    "maxPoolGrad",
    types,
    attrs,
    poolGradientWays.map(
      (way): Write =>
        (b, [l, r]) =>
          way.write(b, l!, r!, attrs),
    ),
  );
  row(
    name,
    poolGradientWays,
    poolGradientWays,
    cheapestPoolGradient(dialect, left!, right!, attrs),
    times,
    rounded,
  );
}
await engine[Symbol.asyncDispose]();
