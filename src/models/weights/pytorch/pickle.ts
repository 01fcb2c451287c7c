/**
 * Python's pickles, as far as PyTorch writes them (protocols 2 to 5; Python's `pickletools.py`). Nothing is executed:
 * a pickle names classes and functions, and each name is looked up among those that the caller gives, or is refused.
 */

/** A dictionary. */
export type PyDict = Map<unknown, unknown>;

/** What a name stands for: called with the arguments that the pickle gives. */
export type Constructor = (args: readonly unknown[]) => unknown;

/** An object of a class of which only the attributes matter. */
export class Attributes {
  readonly values = new Map<string, unknown>();
}

export interface UnpickleOptions {
  /** What `module.name` stands for; throws where it is not allowed. */
  readonly find: (module: string, name: string) => Constructor;
  /** What lies outside of the pickle under `id`. */
  readonly persistent: (id: unknown) => unknown;
}

/** What is wrong with a pickle, in words that go on after the file's name. */
export class PickleError extends Error {}

/** The value of the pickle that begins at `start`, and where it ends. Throws `PickleError`. */
export function unpickle(
  bytes: Uint8Array,
  options: UnpickleOptions,
  start = 0,
): { readonly value: unknown; readonly end: number } {
  const machine = new Machine(bytes, options, start);
  for (;;) {
    const code = machine.u8();
    if (code === STOP) return { value: machine.pop(), end: machine.at };
    const run = opcodes[code];
    if (run === undefined) throw new PickleError(`its pickle has an operation that is not read (${code})`);
    run(machine);
  }
}

const STOP = 0x2e;
/** What stands on the stack where a list of arguments begins. */
const MARK = Symbol("mark");
const utf8 = new TextDecoder("utf-8", { fatal: true });
const latin1 = new TextDecoder("latin1");

class Machine {
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    readonly options: UnpickleOptions,
    public at: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The next `length` bytes, not copied. */
  take(length: number): Uint8Array {
    const from = this.at;
    if (!(length >= 0 && from + length <= this.bytes.length))
      throw new PickleError("its pickle is cut short");
    this.at += length;
    return this.bytes.subarray(from, this.at);
  }

  /** A place of `length` bytes, passed. */
  private skip(length: number): number {
    this.take(length);
    return this.at - length;
  }

  u8 = (): number => this.view.getUint8(this.skip(1));
  u16 = (): number => this.view.getUint16(this.skip(2), true);
  i32 = (): number => this.view.getInt32(this.skip(4), true);
  u32 = (): number => this.view.getUint32(this.skip(4), true);
  u64 = (): number => Number(this.view.getBigUint64(this.skip(8), true));
  f64 = (): number => this.view.getFloat64(this.skip(8));

  /** Two's complement, little-endian; a bigint where a number cannot hold it. */
  integer(length: number): number | bigint {
    let value = 0n;
    const bytes = this.take(length);
    if (length > 64) throw new PickleError(`its pickle has a number of ${length} bytes`);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    const signed = length === 0 ? 0n : BigInt.asIntN(8 * length, value);
    const number = Number(signed);
    return Number.isSafeInteger(number) ? number : signed;
  }

  text(length: number): string {
    try {
      return utf8.decode(this.take(length));
    } catch (error) {
      if (error instanceof PickleError) throw error;
      throw new PickleError("its pickle has a text that is not UTF-8");
    }
  }

  /** Up to the next newline, which is passed. */
  line(): string {
    const end = this.bytes.indexOf(10, this.at);
    const line = this.text((end < 0 ? this.bytes.length : end) - this.at);
    this.skip(1);
    return line;
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    if (this.stack.length === 0) throw new PickleError("its pickle takes more than it gave");
    const value = this.stack.pop();
    if (value === MARK) throw new PickleError("its pickle takes more than it gave");
    return value;
  }

  top<T>(is: (value: unknown) => value is T, what: string): T {
    const value = this.stack.at(-1);
    if (!is(value)) throw new PickleError(`its pickle fills what is no ${what}`);
    return value;
  }

  mark(): void {
    this.stack.push(MARK);
  }

  /** What was pushed since the last mark, which goes, too. */
  popMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) throw new PickleError("its pickle takes more than it gave");
    const values = this.stack.splice(mark);
    values.shift();
    return values;
  }

  remember(index: number): void {
    const value = this.pop();
    this.stack.push(value);
    this.memo.set(index, value);
  }

  /** Under the next free index. */
  memoize(): void {
    this.remember(this.memo.size);
  }

  recall(index: number): void {
    if (!this.memo.has(index)) throw new PickleError("its pickle refers to what is not there");
    this.stack.push(this.memo.get(index));
  }

  call(): void {
    const args = this.pop();
    const called = this.pop();
    if (typeof called !== "function" || !Array.isArray(args))
      throw new PickleError("its pickle calls what is no function");
    this.stack.push((called as Constructor)(args));
  }
}

const isDict = (value: unknown): value is PyDict => value instanceof Map;
const isList = (value: unknown): value is unknown[] => Array.isArray(value);

function put(dict: PyDict, items: readonly unknown[]): void {
  if (items.length % 2 === 1) throw new PickleError("its pickle has a key without a value");
  for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
}

/** Gives an object its attributes: a dictionary, or a pair of two of them. Other objects have none that matter. */
function build(machine: Machine): void {
  const state = machine.pop();
  const object = machine.pop();
  machine.push(object);
  if (!(object instanceof Attributes)) return;
  const parts = isList(state) ? state : [state];
  for (const part of parts.filter(isDict))
    for (const [key, value] of part) if (typeof key === "string") object.values.set(key, value);
}

/** Arguments in front of a class: `cls.__new__(cls, *args)`. */
const opcodes: Readonly<Record<number, (m: Machine) => void>> = {
  128: (m) => void m.u8(), // PROTO
  149: (m) => void m.u64(), // FRAME
  40: (m) => m.mark(),
  48: (m) => void m.pop(),
  49: (m) => void m.popMark(),
  50: (m) => {
    const value = m.pop();
    m.push(value);
    m.push(value);
  },
  // Constants and numbers
  78: (m) => m.push(null),
  136: (m) => m.push(true),
  137: (m) => m.push(false),
  74: (m) => m.push(m.i32()),
  75: (m) => m.push(m.u8()),
  77: (m) => m.push(m.u16()),
  138: (m) => m.push(m.integer(m.u8())),
  139: (m) => m.push(m.integer(m.u32())),
  71: (m) => m.push(m.f64()),
  // Texts and bytes
  88: (m) => m.push(m.text(m.u32())),
  140: (m) => m.push(m.text(m.u8())),
  141: (m) => m.push(m.text(m.u64())),
  84: (m) => m.push(latin1.decode(m.take(m.u32()))),
  85: (m) => m.push(latin1.decode(m.take(m.u8()))),
  66: (m) => m.push(m.take(m.u32())),
  67: (m) => m.push(m.take(m.u8())),
  142: (m) => m.push(m.take(m.u64())),
  // Tuples, lists, sets, dictionaries
  41: (m) => m.push([]),
  133: (m) => m.push([m.pop()]),
  134: (m) => m.push([m.pop(), m.pop()].reverse()),
  135: (m) => m.push([m.pop(), m.pop(), m.pop()].reverse()),
  116: (m) => m.push(m.popMark()),
  93: (m) => m.push([]),
  108: (m) => m.push(m.popMark()),
  97: (m) => {
    const value = m.pop();
    m.top(isList, "list").push(value);
  },
  101: (m) => {
    const values = m.popMark();
    const list = m.top(isList, "list");
    for (const value of values) list.push(value);
  },
  143: (m) => m.push([]),
  144: (m) => {
    const values = m.popMark();
    const list = m.top(isList, "set");
    for (const value of values) list.push(value);
  },
  145: (m) => m.push(m.popMark()),
  125: (m) => m.push(new Map()),
  100: (m) => {
    const dict = new Map();
    put(dict, m.popMark());
    m.push(dict);
  },
  115: (m) => {
    const value = m.pop();
    const key = m.pop();
    put(m.top(isDict, "dictionary"), [key, value]);
  },
  117: (m) => {
    const items = m.popMark();
    put(m.top(isDict, "dictionary"), items);
  },
  // What was there before
  113: (m) => m.remember(m.u8()),
  114: (m) => m.remember(m.u32()),
  148: (m) => m.memoize(),
  104: (m) => m.recall(m.u8()),
  106: (m) => m.recall(m.u32()),
  // Names, calls, objects
  99: (m) => {
    const module = m.line();
    m.push(m.options.find(module, m.line()));
  },
  147: (m) => {
    const name = m.pop();
    const module = m.pop();
    if (typeof module !== "string" || typeof name !== "string")
      throw new PickleError("its pickle names what is no text");
    m.push(m.options.find(module, name));
  },
  82: (m) => m.call(),
  129: (m) => m.call(),
  98: build,
  81: (m) => m.push(m.options.persistent(m.pop())),
};
