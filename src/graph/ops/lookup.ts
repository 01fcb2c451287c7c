/** Rows read and added by their numbers: embedding lookup and its gradient. */

import { isInt } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { formatType, sizeOfShape } from "../../core/shape.js";
import { given, integers, normal, type Op, streaming } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { pad } from "./pieces.js";
import { constant } from "./source.js";

type None = Record<never, never>;

const gatherOp: Op<None> = {
  name: "gather",
  doc: "Rows of a table by number: [V,…] and integers [N…] give [N…,…]. Numbers must lie in [0, V).",
  source: "ONNX Gather; StableHLO gather",
  traits: ["movement"],
  infer([table, rows]) {
    if (!isInt(rows!.dtype) || table!.shape.length < 1) {
      throw new UsageError(
        `gather: needs a table [V,…] and integer row numbers; got ${formatType(table!)} and ${formatType(rows!)}.`,
      );
    }
    return [{ dtype: table!.dtype, shape: [...rows!.shape, ...table!.shape.slice(1)] }];
  },
  reference([table, rows], _, [y]) {
    const width = sizeOfShape(table!.shape.slice(1));
    const out = new Float64Array(sizeOfShape(y!.shape));
    rows!.data.forEach((row, i) => {
      out.set(table!.data.subarray(row * width, (row + 1) * width), i * width);
    });
    return [out];
  },
  vjp: ([g], { inputs: [table, rows] }) => [scatterAdd(rows!, g!, table!.shape[0]!), undefined],
  cost: (inputs, outputs) => streaming([inputs[1]!, outputs[0]!], outputs),
  simplify: "never",
  decompose: "primitive",
  onnx: (b, [table, rows]) => b.node("Gather", [table!.name, rows!.name], { axis: 0 }),
  stablehlo(b, [table, rows], _, [y]) {
    const n = rows!.shape.length;
    const offsets = table!.shape.slice(1).map((_, i) => n + i);
    return [
      b.emit(
        `"stablehlo.gather"(${table!.name}, ${rows!.name}) <{dimension_numbers = #stablehlo.gather<offset_dims = [${offsets.join(", ")}], ` +
          `collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = ${n}>, indices_are_sorted = false, ` +
          `slice_sizes = array<i64: ${[1, ...table!.shape.slice(1)].join(", ")}>}> : (${b.typeOf(table!)}, ${b.typeOf(rows!)}) -> ${b.typeOf(y!)}`,
      ),
    ];
  },
  cases: [
    { name: "tokens", inputs: [normal([7, 4], 1), integers("i32", [2, 3], 2, 7)], attrs: {} },
    { name: "one number a row", inputs: [normal([5], 3), integers("i64", [4], 4, 5)], attrs: {} },
  ],
};

/** Rows of `table` [V,…] by integer `rows` [N…], giving [N…,…]. Numbers must lie in [0, V). */
export const gather = (table: Tensor, rows: Tensor): Tensor => apply(gatherOp, [table, rows], {})[0]!;

interface ScatterAttrs {
  /** Rows that the result has. */
  readonly size: number;
  readonly [key: string]: number;
}

const scatterAddOp: Op<ScatterAttrs> = {
  name: "scatterAdd",
  doc: "Rows added into zeros at their numbers: integers [N…] and [N…,…] give [size,…]; the cotangent of gather.",
  source: "ONNX ScatterND with reduction; StableHLO scatter",
  traits: ["movement"],
  infer([rows, updates], { size }) {
    const n = rows!.shape.length;
    if (!isInt(rows!.dtype) || rows!.shape.some((d, i) => d !== updates!.shape[i])) {
      throw new UsageError(
        `scatterAdd: needs integers [N…] and updates [N…,…]; got ${formatType(rows!)} and ${formatType(updates!)}.`,
      );
    }
    return [{ dtype: updates!.dtype, shape: [size, ...updates!.shape.slice(n)] }];
  },
  reference([rows, updates], _, [y]) {
    const width = sizeOfShape(y!.shape.slice(1));
    const out = new Float64Array(sizeOfShape(y!.shape));
    rows!.data.forEach((row, i) => {
      for (let k = 0; k < width; k++) out[row * width + k]! += updates!.data[i * width + k]!;
    });
    return [out];
  },
  vjp: ([g], { inputs: [rows] }) => [undefined, gather(g!, rows!)],
  cost: streaming,
  simplify: "never",
  decompose: "primitive",
  onnx(b, [rows, updates], _, [y]) {
    const zeros = b.node("Expand", [b.scalar(y!.dtype, 0), b.ints(y!.shape)])[0]!;
    const column = b.node("Reshape", [rows!.name, b.ints([...rows!.shape, 1])])[0]!;
    const longs = rows!.dtype === "i64" ? column : b.cast(column, "i64");
    return b.node("ScatterND", [zeros, longs, updates!.name], { reduction: "add" });
  },
  stablehlo(b, [rows, updates], _, [y]) {
    const n = rows!.shape.length;
    const scalar = { dtype: y!.dtype, shape: [] };
    const t = b.typeOf(scalar);
    const zeros = b.broadcast(b.arg(b.constant(scalar, 0), scalar), y!.shape);
    const windows = y!.shape.slice(1).map((_, i) => n + i);
    return [
      b.emit(
        `"stablehlo.scatter"(${zeros}, ${rows!.name}, ${updates!.name}) <{scatter_dimension_numbers = #stablehlo.scatter<` +
          `update_window_dims = [${windows.join(", ")}], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], ` +
          `index_vector_dim = ${n}>, indices_are_sorted = false, unique_indices = false}> ({ ^bb0(%p: ${t}, %q: ${t}): ` +
          `%s = stablehlo.add %p, %q : ${t} stablehlo.return %s : ${t} }) : (${b.typeOf(y!)}, ${b.typeOf(rows!)}, ${b.typeOf(updates!)}) -> ${b.typeOf(y!)}`,
      ),
    ];
  },
  cases: [
    {
      name: "repeated numbers add up",
      inputs: [given("i32", [4], [1, 0, 1, 1]), normal([4, 3], 1)],
      attrs: { size: 3 },
    },
    {
      name: "two index axes",
      inputs: [integers("i64", [2, 3], 2, 5), normal([2, 3, 2], 3)],
      attrs: { size: 5 },
    },
  ],
};

/** Zeros [size,…] with `updates` [N…,…] added at `rows` [N…]. */
export const scatterAdd = (rows: Tensor, updates: Tensor, size: number): Tensor =>
  apply(scatterAddOp, [rows, updates], { size })[0]!;

interface PickRowsAttrs {
  /** Each result row's row of x, none of them twice; or -1 for zeros. */
  readonly rows: readonly number[];
  readonly [key: string]: readonly number[];
}

const pickRowsOp: Op<PickRowsAttrs> = {
  name: "pickRows",
  doc: "Rows of x by fixed numbers, none twice, and zeros at -1: [V,…] gives [N,…]. Its gradient picks, too.",
  source: "ONNX Gather; StableHLO gather",
  traits: ["movement"],
  infer([x], { rows }) {
    const V = x!.shape[0] ?? 0;
    const picked = rows.filter((row) => row !== -1);
    if (
      x!.shape.length === 0 ||
      new Set(picked).size !== picked.length ||
      picked.some((row) => !Number.isInteger(row) || row < 0 || row >= V)
    ) {
      throw new UsageError(
        `pickRows: needs numbers of rows of ${formatType(x!)}, none twice, or -1; got rows=[${rows.join(",")}].`,
      );
    }
    return [{ dtype: x!.dtype, shape: [rows.length, ...x!.shape.slice(1)] }];
  },
  reference([x], { rows }, [y]) {
    const width = sizeOfShape(x!.shape.slice(1));
    const out = new Float64Array(sizeOfShape(y!.shape));
    rows.forEach((row, i) => {
      if (row !== -1) out.set(x!.data.subarray(row * width, (row + 1) * width), i * width);
    });
    return [out];
  },
  vjp([g], { inputs: [x], attrs: { rows } }) {
    const back = new Array<number>(x!.shape[0]!).fill(-1);
    rows.forEach((row, i) => {
      if (row !== -1) back[row] = i;
    });
    return [pickRows(g!, back)];
  },
  cost: (_, outputs) => streaming(outputs, outputs),
  simplify: "never",
  // Zeros are the row after the last.
  decompose([x], { rows }) {
    const V = x!.shape[0]!;
    const none = x!.shape.map(() => 0);
    const table = rows.includes(-1)
      ? pad(x!, { low: none, high: none.map((_, i) => (i === 0 ? 1 : 0)) })
      : x!;
    const numbers = rows.map((row) => (row === -1 ? V : row));
    return [gather(table, constant(numbers, { dtype: "i32" }))];
  },
  onnx: "decompose",
  stablehlo: "decompose",
  cases: [
    { name: "in another order", inputs: [normal([3, 4], 1)], attrs: { rows: [2, 0, 1] } },
    { name: "some, and zeros", inputs: [normal([5, 2, 3], 2)], attrs: { rows: [4, -1, 0, 3, -1] } },
    { name: "more than there are", inputs: [normal([2], 3)], attrs: { rows: [-1, 1, -1, 0] } },
  ],
};

/** Rows of `x` [V,…] by the fixed numbers `rows`, none twice, and zeros where it is -1: [N,…]. */
export function pickRows(x: Tensor, rows: readonly number[]): Tensor {
  const same = rows.length === x.shape[0] && rows.every((row, i) => row === i);
  return same ? x : apply(pickRowsOp, [x], { rows })[0]!;
}

export const lookupOps = [gatherOp, scatterAddOp, pickRowsOp];
