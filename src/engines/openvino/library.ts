/**
 * Calls into OpenVINO's C API (libopenvino_c of the wheel) through koffi. Handles in, handles out; every status becomes
 * one of our errors. Nothing here knows what a graph is.
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import koffi, { type KoffiFunc, type LibraryHandle } from "koffi";
import type { DType } from "../../core/dtype.js";
import { InternalError, UsageError } from "../../core/errors.js";
import type { Shape } from "../../core/shape.js";
import { deviceFailed, outOfMemory } from "../device-trouble.js";
import { addressOf, loadForever, type Pointer } from "../native.js";

/** The version whose element types and calls are written down here: others number them differently. */
export const OPENVINO_VERSION = "2026.4.1";

const INSTALL = "clipwright engines install openvino";

/** ov_element_type_e */
export const elementType: Readonly<Record<DType, number>> = {
  bool: 1,
  bf16: 2,
  f16: 3,
  f32: 4,
  i32: 9,
  i64: 10,
  u8: 16,
};

/** By their names in `ov_property.h`, e.g. `INFERENCE_PRECISION_HINT: "f32"`. */
export type Properties = Readonly<Record<string, string>>;

/** What one kernel of a run took. */
export interface KernelTime {
  readonly name: string;
  /** Of the node that it stands for, and of its implementation. */
  readonly type: string;
  readonly kernel: string;
  readonly microseconds: number;
}

const shapeType = koffi.struct("OvShape", { rank: "int64_t", dims: koffi.pointer("int64_t") });
const propertyType = koffi.struct("OvProperty", { key: "str", value: "str" });
const versionType = koffi.struct("OvVersion", { buildNumber: "str", description: "str" });
const profileType = koffi.struct("OvProfilingInfo", {
  status: "int",
  realTime: "int64_t",
  cpuTime: "int64_t",
  nodeName: "str",
  execType: "str",
  nodeType: "str",
});

/** Arguments of the functions that are called, each with a status as its result. */
const signatures = {
  ov_core_create: ["void *"],
  ov_core_read_model_from_memory_buffer: ["void *", "void *", "size_t", "void *", "void *"],
  ov_core_compile_model_props: ["void *", "void *", "str", "size_t", koffi.pointer(propertyType), "void *"],
  ov_compiled_model_inputs_size: ["void *", "void *"],
  ov_compiled_model_outputs_size: ["void *", "void *"],
  ov_compiled_model_create_infer_request: ["void *", "void *"],
  ov_tensor_create_from_host_ptr: ["int", shapeType, "void *", "void *"],
  ov_infer_request_set_input_tensor_by_index: ["void *", "size_t", "void *"],
  ov_infer_request_set_output_tensor_by_index: ["void *", "size_t", "void *"],
  ov_infer_request_start_async: ["void *"],
  ov_infer_request_wait: ["void *"],
  ov_infer_request_get_profiling_info: ["void *", "void *"],
} as const;
type FunctionName = keyof typeof signatures;

/** What frees what was made. */
type Freed = "core" | "model" | "compiled_model" | "infer_request" | "tensor";

/** How allocations fail that the standard library makes. */
const NO_MEMORY = /bad_alloc|failed to allocate|out of memory|not enough memory/i;

export class OpenVinoLibrary {
  /** Arguments of calls under way, so that the memory that they point to stays. */
  private readonly lent = new Set<readonly unknown[]>();
  private readonly functions = new Map<string, KoffiFunc<(...args: unknown[]) => unknown>>();

  private constructor(
    readonly path: string,
    /** E.g. `2026.4.1-22982-…`. */
    readonly version: string,
    private readonly library: LibraryHandle,
  ) {}

  /** Loads `libopenvino_c` at `path` with what lies beside it. Throws `UsageError` when it is missing or of another version. */
  static load(path: string): OpenVinoLibrary {
    const known = loaded.get(path);
    if (known !== undefined) return known;
    if (!existsSync(path)) {
      throw new UsageError(`openvino: the library must exist; got ${path}. Run: ${INSTALL}.`);
    }
    const folder = join(path, "..");
    const files = readdirSync(folder);
    // Each needs those before it, and finds them by what is loaded already.
    for (const start of ["libtbb.so.", "libopenvino.so."]) {
      const file = files.find((name) => name.startsWith(start));
      if (file !== undefined) loadForever(join(folder, file), "openvino", INSTALL);
    }
    const library = loadForever(path, "openvino", INSTALL);
    const version: { buildNumber?: string } = {};
    library.func("ov_get_openvino_version", "int", [koffi.out(koffi.pointer(versionType))])(version);
    const build = version.buildNumber ?? "unknown";
    if (!build.startsWith(`${OPENVINO_VERSION}-`)) {
      throw new UsageError(
        `openvino: the library must be of version ${OPENVINO_VERSION}; got ${build} in ${path}. Run: ${INSTALL}.`,
      );
    }
    const made = new OpenVinoLibrary(path, build, library);
    loaded.set(path, made);
    return made;
  }

  createCore(): Pointer {
    return this.make("opening a core", "ov_core_create", []);
  }

  /** An ONNX model's bytes compiled for the CPU, away from this thread. */
  async compile(
    core: Pointer,
    model: Uint8Array,
    properties: Properties,
    name: string,
  ): Promise<{ program: Pointer; inputs: number; outputs: number }> {
    const read = await this.makeAsync(`reading ${name}`, "ov_core_read_model_from_memory_buffer", [
      core,
      model,
      model.length,
      null,
    ]);
    try {
      const list = Object.entries(properties).map(([key, value]) => ({ key, value }));
      const program = await this.makeAsync(`compiling ${name}`, "ov_core_compile_model_props", [
        core,
        read,
        "CPU",
        list.length,
        list,
      ]);
      const count = (of: "inputs" | "outputs") =>
        Number(this.make(`counting ${of}`, `ov_compiled_model_${of}_size`, [program]));
      return { program, inputs: count("inputs"), outputs: count("outputs") };
    } finally {
      this.free("model", read);
    }
  }

  createRequest(program: Pointer): Pointer {
    return this.make("preparing a run", "ov_compiled_model_create_infer_request", [program]);
  }

  /** A tensor over memory that must outlive it. */
  tensor(dtype: DType, shape: Shape, address: Pointer): Pointer {
    const lengths = { rank: shape.length, dims: shape };
    return this.make("describing a tensor", "ov_tensor_create_from_host_ptr", [
      elementType[dtype],
      lengths,
      address,
    ]);
  }

  setTensor(request: Pointer, side: "input" | "output", index: number, tensor: Pointer): void {
    this.call(`taking ${side} ${index}`, `ov_infer_request_set_${side}_tensor_by_index`, [
      request,
      index,
      tensor,
    ]);
  }

  /** Starts a run; the promise settles when it has ended. */
  run(request: Pointer, name: string): Promise<void> {
    this.call(`starting ${name}`, "ov_infer_request_start_async", [request]);
    return this.callAsync(`a run of ${name}`, "ov_infer_request_wait", [request]);
  }

  /** What each kernel of the last run took; its program must have been compiled with `PERF_COUNT`. */
  profile(request: Pointer): KernelTime[] {
    const list = new BigUint64Array(2);
    this.call("reading a profile", "ov_infer_request_get_profiling_info", [request, list]);
    const rows = koffi.decode(list[0]!, koffi.array(profileType, Number(list[1]))) as {
      nodeName: string;
      nodeType: string;
      execType: string;
      realTime: number;
    }[];
    const out = rows.map((row) => ({
      name: row.nodeName,
      type: row.nodeType,
      kernel: row.execType,
      microseconds: Number(row.realTime),
    }));
    this.function("ov_profiling_info_list_free", "void", ["void *"])(addressOf(list));
    return out;
  }

  free(kind: Freed, handle: Pointer): void {
    this.function(`ov_${kind}_free`, "void", ["void *"])(handle);
  }

  /** The call's last argument is where it leaves a word. */
  private make(doing: string, name: FunctionName, args: readonly unknown[]): Pointer {
    const out = new BigUint64Array(1);
    this.call(doing, name, [...args, out]);
    return out[0]!;
  }

  private async makeAsync(doing: string, name: FunctionName, args: readonly unknown[]): Promise<Pointer> {
    const out = new BigUint64Array(1);
    await this.callAsync(doing, name, [...args, out]);
    return out[0]!;
  }

  /** Arrays among the arguments are passed by their addresses, and live until the call is done. */
  private call(doing: string, name: FunctionName, args: readonly unknown[]): void {
    this.lent.add(args);
    const status = this.function(name, "int", signatures[name])(...args.map(inPlace)) as number;
    this.lent.delete(args);
    if (status !== 0) throw this.failure(doing, status);
  }

  /** On a thread of libuv's pool. */
  private callAsync(doing: string, name: FunctionName, args: readonly unknown[]): Promise<void> {
    this.lent.add(args);
    return new Promise((resolve, reject) => {
      this.function(name, "int", signatures[name]).async(
        ...args.map(inPlace),
        (broken: Error | null, result: unknown) => {
          const status = result as number;
          this.lent.delete(args);
          if (broken) reject(new InternalError(`openvino: ${name} could not be called: ${broken.message}`));
          else if (status !== 0) reject(this.failure(doing, status));
          else resolve();
        },
      );
    });
  }

  private failure(doing: string, status: number): Error {
    const text = this.function("ov_get_last_err_msg", "str", [])() as string | null;
    // Several lines, of which those that name source files of the library help nobody.
    const lines = (text ?? "")
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "" && !/^(Exception from|Check )/.test(line));
    const detail = lines.length === 0 ? (text ?? "").trim() || `status ${status}` : lines.join(" ");
    return (NO_MEMORY.test(detail) ? outOfMemory : deviceFailed)("openvino", doing, detail);
  }

  private function(name: string, result: string, args: readonly unknown[]) {
    let found = this.functions.get(name);
    if (found === undefined) {
      found = this.library.func(name, result, args as never) as KoffiFunc<(...args: unknown[]) => unknown>;
      this.functions.set(name, found);
    }
    return found;
  }
}

const inPlace = (value: unknown): unknown => (ArrayBuffer.isView(value) ? addressOf(value) : value);

const loaded = new Map<string, OpenVinoLibrary>();
