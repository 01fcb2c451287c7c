/** Each way to write a convolution or the gradient of max pooling in ONNX, chosen or not, equals the reference; and what is chosen when. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decode, encode } from "../src/core/dtype.js";
import { type Shape, sizeOfShape } from "../src/core/shape.js";
import { channelBlock } from "../src/engines/channel-block.js";
import type { Engine } from "../src/engines/engine.js";
import type { Arg, OnnxContext } from "../src/graph/emit/context.js";
import { type OnnxDialect, onnxRuntimeDialect, openVinoDialect } from "../src/graph/emit/dialect.js";
import { emitOnnx } from "../src/graph/emit/onnx.js";
import { type AnyOp, type Attrs, type CaseInput, given, normal } from "../src/graph/op.js";
import { forwardWays } from "../src/graph/ops/convolve-onnx/forward.js";
import { imageWays } from "../src/graph/ops/convolve-onnx/image.js";
import { kernelWays } from "../src/graph/ops/convolve-onnx/kernel.js";
import { type Convolution, cheapest, type Way } from "../src/graph/ops/convolve-onnx/way.js";
import { allOps, conv, inputTensor, maxPool } from "../src/graph/ops/index.js";
import { cheapestPoolGradient, poolGradientWays, type WindowAttrs } from "../src/graph/ops/pool-onnx.js";
import { apply } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";
import { assertClose, tolerance } from "./support/close.js";
import { engines } from "./support/engines.js";

type Placed = Partial<Pick<Convolution, "stride" | "padding" | "groups">>;

function convolution(x: Shape, w: Shape, placed: Placed = {}): Convolution {
  const { stride = [1, 1], padding = [0, 0, 0, 0], groups = 1 } = placed;
  const [B, C, H, W] = x as [number, number, number, number];
  const [O, , ...kernel] = w as [number, number, number, number];
  const out = (i: number) =>
    Math.floor(([H, W][i]! + padding[i]! + padding[2 + i]! - kernel[i]!) / stride[i]!) + 1;
  return { B, C, H, W, O, h: out(0), v: out(1), kernel, stride, padding, groups, dtype: "f32" };
}

const around = (n: number): number[] => [n, n, n, n];

const shapes: Readonly<Record<string, Convolution>> = {
  "padded 3×3": convolution([2, 3, 5, 6], [4, 3, 3, 3], { padding: around(1) }),
  "unpadded, kernel not square": convolution([2, 3, 6, 5], [4, 3, 3, 2]),
  "padded on some sides": convolution([1, 2, 5, 4], [3, 2, 3, 3], { padding: [2, 0, 0, 1] }),
  "padded by more than the kernel": convolution([1, 2, 3, 4], [3, 2, 2, 2], { padding: [2, 0, 1, 3] }),
  "strided, rows that no window reaches": convolution([2, 2, 6, 8], [3, 2, 3, 3], { stride: [2, 3] }),
  "strided, padded": convolution([2, 3, 7, 7], [4, 3, 3, 3], { stride: [2, 2], padding: around(1) }),
  "stride above the kernel": convolution([2, 3, 7, 7], [4, 3, 2, 2], { stride: [3, 3] }),
  "strided along one axis": convolution([1, 3, 6, 6], [4, 3, 3, 3], { stride: [2, 1], padding: around(1) }),
  patches: convolution([2, 3, 8, 8], [5, 3, 4, 4], { stride: [4, 4] }),
  "1×1": convolution([2, 3, 4, 5], [6, 3, 1, 1]),
  "1×1, strided": convolution([2, 3, 5, 6], [6, 3, 1, 1], { stride: [2, 2] }),
  "kernel of the image's size": convolution([3, 2, 4, 4], [5, 2, 4, 4]),
  "one pixel": convolution([2, 3, 1, 1], [4, 3, 3, 3], { padding: around(1) }),
  "in groups": convolution([2, 4, 4, 4], [6, 2, 3, 3], { padding: around(1), groups: 2 }),
  "in groups, strided": convolution([2, 4, 7, 6], [6, 2, 3, 3], { stride: [2, 2], groups: 2 }),
  "blocks of channels": convolution([2, 16, 5, 4], [32, 16, 3, 3], { padding: around(1) }),
  "blocks of channels, strided": convolution([2, 32, 6, 6], [16, 32, 3, 3], {
    stride: [2, 2],
    padding: around(1),
  }),
  "blocks of channels, 1×1": convolution([2, 32, 3, 3], [48, 32, 1, 1]),
  "blocks of channels, 2×3 and padded on some sides": convolution([1, 32, 4, 5], [32, 32, 2, 3], {
    padding: [1, 0, 0, 2],
  }),
  "blocks of channels in groups": convolution([1, 64, 4, 4], [32, 32, 3, 3], {
    padding: around(1),
    groups: 2,
  }),
  "few channels into blocks": convolution([2, 3, 9, 9], [32, 3, 4, 4], { stride: [4, 4] }),
  "blocks that channels do not fill": convolution([2, 20, 5, 4], [36, 20, 3, 3], { padding: around(1) }),
  "blocks that channels do not fill, strided": convolution([1, 40, 6, 6], [24, 40, 2, 2], { stride: [2, 2] }),
  "few channels into a block that they do not fill": convolution([2, 8, 6, 6], [12, 8, 3, 3]),
  "depthwise in blocks that channels do not fill": convolution([3, 20, 6, 6], [20, 1, 3, 3], {
    padding: around(1),
    groups: 20,
  }),
  depthwise: convolution([2, 3, 5, 5], [3, 1, 3, 3], { padding: around(1), groups: 3 }),
  "depthwise with a multiplier": convolution([2, 3, 5, 5], [6, 1, 3, 3], { padding: around(1), groups: 3 }),
  "depthwise in blocks": convolution([2, 32, 6, 5], [32, 1, 5, 3], { padding: [2, 1, 2, 1], groups: 32 }),
  "depthwise in blocks, strided": convolution([2, 16, 8, 8], [16, 1, 3, 3], {
    stride: [2, 2],
    padding: around(1),
    groups: 16,
  }),
};

const pools: Readonly<Record<string, { readonly x: Shape } & Partial<WindowAttrs>>> = {
  halving: { x: [2, 3, 4, 6] },
  "halving, with rows that no window reaches": { x: [1, 2, 5, 7] },
  "overlapping, padded": { x: [2, 3, 7, 8], kernel: [3, 3], padding: around(1) },
  "kernel not square, padded on some sides": { x: [1, 2, 6, 7], kernel: [3, 2], padding: [1, 1, 0, 0] },
  "every place": { x: [1, 2, 5, 4], kernel: [3, 3], stride: [1, 1], padding: around(1) },
  "other strides along the axes": { x: [1, 2, 6, 7], kernel: [3, 2], stride: [2, 3] },
  "single elements": { x: [1, 2, 4, 5], kernel: [1, 1] },
  "places apart": { x: [1, 2, 8, 8], stride: [3, 3] },
};

const image = ({ B, C, H, W }: Convolution) => normal([B, C, H, W], 1);
const kernel = ({ O, C, groups, kernel: k }: Convolution) => normal([O, C / groups, ...k], 2);
const result = ({ B, O, h, v }: Convolution) => normal([B, O, h, v], 3);

interface Product {
  readonly ways: readonly Way[];
  readonly operands: (of: Convolution) => readonly [CaseInput, CaseInput];
  readonly size: (of: Convolution) => { readonly size?: readonly number[] };
}

const products: Readonly<Record<string, Product>> = {
  conv: { ways: forwardWays, operands: (of) => [image(of), kernel(of)], size: () => ({}) },
  convInputGrad: {
    ways: imageWays,
    operands: (of) => [result(of), kernel(of)],
    size: ({ H, W }) => ({ size: [H, W] }),
  },
  convKernelGrad: {
    ways: kernelWays,
    operands: (of) => [image(of), result(of)],
    size: (of) => ({ size: of.kernel }),
  },
};

const block = await channelBlock();
const written = engines.flatMap(({ title, target, open }) => {
  if (target !== "onnx") return [];
  return [{ title, open, dialect: title === "OpenVINO" ? openVinoDialect : onnxRuntimeDialect(block) }];
});

/** What `engine` gives for the record of that name, written by `onnx` alone, against the reference. */
async function assertEqual(
  engine: Engine,
  name: string,
  { inputs: [left, right], attrs, what }: { inputs: readonly CaseInput[]; attrs: Attrs; what: string },
  onnx: (b: OnnxContext, args: readonly Arg[]) => string,
): Promise<void> {
  const record = allOps.find((op) => op.name === name)!;
  const forced: AnyOp = { ...record, onnx: (b, args) => [onnx(b, args)] };
  const graph = trace({ left: left!, right: right! }, (operands) => ({
    y: apply(forced, [operands.left, operands.right], attrs)[0]!,
  }));
  using executable = await engine.compile(graph);
  using x = engine.upload(left!, encode(left!.dtype, left!.data));
  using y = engine.upload(right!, encode(right!.dtype, right!.data));
  const outputs = await executable.run({ left: x, right: y });
  const type = graph.outputs[0]!.tensor;
  const [expected] = record.reference([left!, right!], attrs, [type]);
  const got = decode(type.dtype, await engine.download(outputs.y!));
  outputs.y![Symbol.dispose]();
  assert.equal(got.length, sizeOfShape(type.shape));
  assertClose(got, expected!, tolerance(type.dtype), what);
}

for (const { title, open, dialect } of written) {
  let engine: Engine;
  before(async () => {
    engine = await open();
  });
  after(() => engine[Symbol.asyncDispose]());

  for (const [name, { ways, operands, size }] of Object.entries(products)) {
    describe(`${name} on ${title}`, () => {
      for (const way of ways) {
        if (/blocked/.test(way.name) && title !== "ONNX Runtime") continue;
        const dtype = /in f32/.test(way.name) ? "bf16" : "f32";
        if (dtype === "bf16" && title === "ONNX Runtime") continue;
        const skip = /blocked/.test(way.name) && block === 0 ? "NOT TESTED: no blocked kernels here" : false;
        it(`by ${way.name} equals the reference on every shape that it takes`, { skip }, async () => {
          const typed = Object.entries(shapes).map(([shape, of]) => [shape, { ...of, dtype }] as const);
          const taken = typed.filter(([, of]) => way.estimate(of, dialect) !== undefined);
          assert.ok(taken.length > 0);
          for (const [shape, of] of taken) {
            const { stride, padding, groups } = of;
            const attrs: Attrs = { stride, padding, groups, out: dtype, ...size(of) };
            const inputs = operands(of).map(({ shape: s, data }) => given(dtype, s, [...data]));
            const what = `${way.name}, ${shape}`;
            await assertEqual(engine, name, { inputs, attrs, what }, (b, [x, y]) =>
              way.write(b, [x!.name, y!.name], of),
            );
          }
        });
      }
    });
  }

  describe(`maxPoolGrad on ${title}`, () => {
    for (const way of poolGradientWays) {
      it(`${way.name} equals the reference`, async () => {
        for (const [what, { x: shape, ...window }] of Object.entries(pools)) {
          const attrs = { kernel: [2, 2], stride: [2, 2], padding: around(0), ...window };
          const x = normal(shape, 1);
          // Equal elements, so that the first of them must win.
          const image = { ...x, data: x.data.map((v) => Math.round(2 * v)) };
          const y = maxPool(inputTensor("x", x), attrs);
          const inputs = [image, normal(y.shape, 2)];
          await assertEqual(engine, "maxPoolGrad", { inputs, attrs, what }, (b, [left, right]) =>
            way.write(b, left!, right!, attrs),
          );
        }
      });
    }
  });
}

describe("cheapest", () => {
  const by = (of: Convolution, dialect: OnnxDialect) =>
    [forwardWays, imageWays, kernelWays].map((ways) => cheapest(ways, of, dialect).name);
  const chosen = (of: Convolution, channels: number) => by(of, onnxRuntimeDialect(channels));
  const square = (B: number, C: number, side: number, O: number, k: number, placed: Placed = {}) =>
    convolution([B, C, side, side], [O, C / (placed.groups ?? 1), k, k], placed);

  it("takes blocks for depthwise convolutions, where there are blocks", () => {
    const of = square(8, 384, 14, 384, 7, { padding: around(3), groups: 384 });
    assert.deepEqual(chosen(of, 16), ["blocked conv", "blocked turned conv", "blocked channels"]);
    assert.deepEqual(chosen(of, 0), ["conv", "turned conv", "exchanged conv"]);
  });

  it("goes by the rates of the engine", () => {
    const wide = square(8, 384, 14, 384, 7, { padding: around(3), groups: 384 });
    assert.deepEqual(by(wide, openVinoDialect), ["conv", "turned conv", "rows by rows"]);
    const means = square(8, 256, 56, 256, 2, { stride: [2, 2], groups: 256 });
    assert.equal(by(means, openVinoDialect)[1], "convTranspose");
    assert.equal(by({ ...means, dtype: "bf16" }, openVinoDialect)[1], "convTranspose in f32");
    const [x, g]: Arg[] = [112, 56].map((n) => ({ name: "", dtype: "f32", shape: [8, 64, n, n] }));
    const window = { kernel: [3, 3], stride: [2, 2], padding: around(1) };
    const pool = (dialect: OnnxDialect) => cheapestPoolGradient(dialect, x!, g!, window).name;
    assert.deepEqual([onnxRuntimeDialect(), openVinoDialect].map(pool), ["by indices", "by taps"]);
  });

  it("takes no blocks of channels that do not come in fours", () => {
    const of = square(7, 99, 14, 99, 7, { padding: around(3), groups: 99 });
    assert.deepEqual(chosen(of, 16), ["conv", "turned conv", "exchanged conv"]);
  });

  it("needs no columns for 1×1 kernels: the convolution is Gemm already", () => {
    assert.deepEqual(chosen(square(8, 256, 56, 64, 1), 16), ["conv", "turned conv", "taps by image"]);
  });

  it("sums the kernel's gradient by image where images are large, by batch where kernels are", () => {
    const padded = { padding: around(1) };
    assert.equal(chosen(square(8, 64, 56, 64, 3, padded), 16)[2], "taps by image");
    assert.equal(chosen(square(8, 512, 7, 512, 3, padded), 16)[2], "taps by batch");
  });

  it("spreads by ConvTranspose where windows are strided", () => {
    const of = square(8, 128, 56, 128, 3, { padding: around(1), stride: [2, 2] });
    assert.equal(chosen(of, 16)[1], "convTranspose");
  });

  it("makes columns of few channels while they fit into memory", () => {
    assert.equal(chosen(square(8, 3, 224, 96, 4, { stride: [4, 4] }), 16)[2], "columns");
    const large = square(256, 3, 224, 64, 7, { stride: [2, 2], padding: around(3) });
    assert.equal(chosen(large, 16)[2], "exchanged conv");
  });
});

describe("emitOnnx", () => {
  const graph = trace(
    { x: { dtype: "f32", shape: [8, 64, 8, 8] }, w: { dtype: "f32", shape: [64, 64, 3, 3] } } as const,
    ({ x, w }) => ({ y: conv(x, w) }),
  );
  const text = (model: Uint8Array) => Buffer.from(model).toString("latin1");

  it("writes operators of ONNX alone unless told of blocks", () => {
    assert.doesNotMatch(text(emitOnnx(graph)), /nchwc/);
    assert.match(text(emitOnnx(graph, onnxRuntimeDialect(16))), /com\.microsoft\.nchwc/);
  });
});
