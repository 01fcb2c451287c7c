/** What PyTorch's pickles may name, and the tensors that come of it: parts of storages, with strides. */

import type { StoredType } from "../../../core/foreign-dtype.js";
import { sizeOfShape } from "../../../core/shape.js";
import { Attributes, type Constructor, PickleError, type PyDict } from "./pickle.js";

/** Numbers of one type that lie outside of the pickle. */
export class Storage {
  constructor(
    readonly type: StoredType,
    readonly key: string,
    /** Elements. */
    readonly length: number,
  ) {}
}

/** A view of a storage. */
export class TorchTensor {
  constructor(
    readonly storage: Storage,
    /** Elements before its first. */
    readonly offset: number,
    readonly shape: readonly number[],
    /** Elements from one to the next, along each axis. */
    readonly strides: readonly number[],
  ) {}

  /** Elements of the storage from `offset` to the last that the tensor has. */
  get span(): number {
    if (this.shape.includes(0)) return 0;
    return 1 + this.shape.reduce((last, size, axis) => last + (size - 1) * this.strides[axis]!, 0);
  }

  /** Whether its elements lie in order, without gaps. */
  get isContiguous(): boolean {
    let step = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      if (this.shape[axis] !== 1 && this.strides[axis] !== step) return false;
      step *= this.shape[axis]!;
    }
    return true;
  }
}

/** `torch.FloatStorage` and the like: which numbers. */
class StorageType {
  constructor(readonly type: StoredType) {}
}

const storageTypes: Readonly<Record<string, StoredType>> = {
  DoubleStorage: "f64",
  FloatStorage: "f32",
  HalfStorage: "f16",
  BFloat16Storage: "bf16",
  LongStorage: "i64",
  IntStorage: "i32",
  ShortStorage: "i16",
  CharStorage: "i8",
  ByteStorage: "u8",
  BoolStorage: "bool",
};

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`. */
function rebuildTensor([storage, offset, shape, strides]: readonly unknown[]): TorchTensor {
  const sound =
    storage instanceof Storage &&
    isCount(offset) &&
    areCounts(shape) &&
    areCounts(strides) &&
    shape.length === strides.length;
  if (!sound) throw new PickleError("a tensor of its pickle is not whole");
  const tensor = new TorchTensor(storage, offset, [...shape], [...strides]);
  const size = sizeOfShape(shape);
  if (size > storage.length || offset + tensor.span > storage.length)
    throw new PickleError(
      `a tensor [${shape.slice(0, 8).join(",")}] is larger than its ${storage.length} numbers`,
    );
  return tensor;
}

/** The first argument, e.g. the tensor of a parameter. */
const itself: Constructor = ([value]) => value;
const inert: Constructor = () => null;
const record: Constructor = () => new Attributes();

/** What may be named, as `torch.load(weights_only=True)` has it; of TorchScript's archives the classes of their modules. */
const known: Readonly<Record<string, Constructor>> = {
  "collections.OrderedDict": ([items]) => {
    const pairs = Array.isArray(items) ? items.filter((pair) => Array.isArray(pair)) : [];
    return new Map(pairs as [unknown, unknown][]) satisfies PyDict;
  },
  "torch._utils._rebuild_tensor": rebuildTensor,
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": itself,
  "torch._utils._rebuild_parameter_with_state": itself,
  "torch.Size": itself,
  "torch.device": inert,
  "torch.jit._pickle.restore_type_tag": itself,
  "torch.jit._pickle.build_intlist": itself,
  "torch.jit._pickle.build_doublelist": itself,
  "torch.jit._pickle.build_boollist": itself,
  "torch.jit._pickle.build_tensorlist": itself,
};

/** What `module.name` stands for. Throws `PickleError` for what is not allowed. */
export function find(module: string, name: string): Constructor {
  const whole = `${module}.${name}`;
  const made = Object.hasOwn(known, whole) ? known[whole] : undefined;
  if (made !== undefined) return made;
  if (module === "torch" && Object.hasOwn(storageTypes, name)) {
    const type = new StorageType(storageTypes[name]!);
    return Object.assign(() => type, { type });
  }
  if (module === "torch" && /^(?:u?int|float|bfloat|complex)\d+$|^bool$/.test(name)) return inert;
  if (module === "__torch__" || module.startsWith("__torch__.")) return record;
  throw new PickleError(
    `its pickle asks for ${JSON.stringify(whole.slice(0, 120))}, which weights have no need of`,
  );
}

/** The storage of a persistent id `("storage", type, key, location, length[, view])`. Throws `PickleError`. */
export function storageOf(id: unknown): Storage {
  const [kind, named, key, , length, view] = Array.isArray(id) ? id : [];
  const type = (named as { type?: unknown } | null | undefined)?.type;
  const sound =
    kind === "storage" && type instanceof StorageType && typeof key === "string" && isCount(length);
  if (!sound) throw new PickleError("its pickle refers to numbers in a way that is not read");
  if (view !== undefined && view !== null)
    throw new PickleError("a part of its numbers is kept as another's");
  return new Storage(type.type, key, length);
}

/** Where checkpoints keep the weights, beside what else a training needs. */
const STATES = ["state_dict", "model_state_dict", "model"];

/**
 * The tensors of a loaded value by name: of a state dictionary, of a checkpoint that holds one, or of the modules of a
 * TorchScript archive, where a module's name stands before those of its own.
 */
export function tensorsIn(value: unknown): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  const visited = new Set<unknown>();
  const visit = (holder: ReadonlyMap<unknown, unknown>, prefix: string): void => {
    if (visited.has(holder) || prefix.length > LONGEST_NAME) return;
    visited.add(holder);
    for (const [key, each] of holder) {
      if (typeof key !== "string") continue;
      if (each instanceof TorchTensor) tensors.set(`${prefix}${key}`, each);
      else if (each instanceof Attributes) visit(each.values, `${prefix}${key}.`);
    }
  };
  if (value instanceof Attributes) visit(value.values, "");
  else if (value instanceof Map) {
    const inner = STATES.map((name) => value.get(name)).find((each) => each instanceof Map);
    visit(inner ?? value, "");
  }
  return tensors;
}

/** Longer than any; modules in modules end here. */
const LONGEST_NAME = 1000;
