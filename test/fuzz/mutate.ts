/** Seeded damage to bytes: what disks, networks, other programs and people with bad intent make of a file. */
import type { Random } from "../../src/core/random.js";

/** Files by their path in a folder. */
export type FuzzInput = Readonly<Record<string, Uint8Array>>;

/** Bytes at the edges of what formats tell apart. */
const BYTES = [0, 1, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x2d, 0x2f, 0x5c, 0x7f, 0x80, 0xc3, 0xe2, 0xff];

/** Texts at which readers of any text have tripped. */
const WORDS = [
  "-1",
  "0",
  "NaN",
  "-Infinity",
  "1e999",
  "9007199254740993",
  "99999999999999999999",
  "null",
  "true",
  '""',
  "[]",
  "{}",
  '"',
  "\\",
  "\\u0000",
  "\\ud800",
  "\0",
  "\n",
  "\r\n",
  "\ufeff",
  "\u202e",
  "\u001b[31m",
  "__proto__",
  "constructor",
  "../../x",
  "/dev/null",
];

type Mutation = (bytes: Buffer, random: Random, words: readonly string[], other: Uint8Array) => Uint8Array;

/** A length that is short more often than long, at least 1. */
const lengthOf = (random: Random, most: number): number =>
  Math.max(1, Math.min(most, Math.floor(2 ** (random.uniform() * Math.log2(Math.max(2, most))))));

const splice = (bytes: Buffer, at: number, gone: number, put: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + gone)]);

/** A range of `bytes`: where it starts and how long it is. */
function range(bytes: Buffer, random: Random): [at: number, length: number] {
  const at = random.integer(bytes.length + 1);
  return [at, Math.min(bytes.length - at, lengthOf(random, bytes.length))];
}

const mutations: Readonly<Record<string, Mutation>> = {
  flip(bytes, random) {
    if (bytes.length > 0) bytes[random.integer(bytes.length)]! ^= 1 << random.integer(8);
    return bytes;
  },
  set(bytes, random) {
    if (bytes.length > 0) bytes[random.integer(bytes.length)] = BYTES[random.integer(BYTES.length)]!;
    return bytes;
  },
  /** A whole number in the file's own order of bytes, at an edge. */
  integer(bytes, random) {
    const edges = [0, 1, -1, 0x7fffffff, -0x80000000, 0x7fff, bytes.length, bytes.length + 1];
    const value = edges[random.integer(edges.length)]!;
    if (bytes.length < 4) return bytes;
    bytes.writeInt32LE(value, random.integer(bytes.length - 3));
    return bytes;
  },
  cut: (bytes, random) => bytes.subarray(0, random.integer(bytes.length + 1)),
  remove: (bytes, random) => splice(bytes, ...range(bytes, random), new Uint8Array(0)),
  zero(bytes, random) {
    const [at, length] = range(bytes, random);
    return bytes.fill(0, at, at + length);
  },
  noise(bytes, random) {
    const [at, length] = range(bytes, random);
    for (let i = at; i < at + Math.min(length, 4096); i++) bytes[i] = random.integer(256);
    return bytes;
  },
  repeat(bytes, random) {
    const [at, length] = range(bytes, random);
    const piece = bytes.subarray(at, at + length);
    const times = 1 + random.integer(length > 1024 ? 2 : 64);
    return splice(bytes, at, 0, Buffer.concat(Array.from({ length: times }, () => piece)));
  },
  move(bytes, random) {
    const [at, length] = range(bytes, random);
    const piece = Buffer.from(bytes.subarray(at, at + length));
    const rest = splice(bytes, at, length, new Uint8Array(0));
    return splice(rest, random.integer(rest.length + 1), 0, piece);
  },
  insert(bytes, random, words) {
    const all = random.integer(2) === 0 || words.length === 0 ? WORDS : words;
    const word = Buffer.from(all[random.integer(all.length)]!);
    const at = random.integer(bytes.length + 1);
    return splice(bytes, at, random.integer(2) * word.length, word);
  },
  /** Another number where digits stand. */
  number(bytes, random) {
    const digits = [...bytes.toString("latin1").matchAll(/\d+/g)];
    if (digits.length === 0) return bytes;
    const hit = digits[random.integer(digits.length)]!;
    const value = [...WORDS.slice(0, 7), "00000000000", "77777777777", "-0000001000"];
    return splice(bytes, hit.index, hit[0].length, Buffer.from(value[random.integer(value.length)]!));
  },
  /** Brackets in brackets, thousands deep. */
  nest(bytes, random) {
    const deep = 10 ** (1 + random.integer(4));
    const [open, close] = random.integer(2) === 0 ? ["[", "]"] : ['{"a":', "}"];
    const [at, length] = range(bytes, random);
    const inner = Buffer.from(bytes.subarray(at, at + length));
    return splice(
      bytes,
      at,
      length,
      Buffer.concat([Buffer.from(open.repeat(deep)), inner, Buffer.from(close.repeat(deep))]),
    );
  },
  /** The start of this, the end of another sound file. */
  cross(bytes, random, _, other) {
    const at = random.integer(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), other.subarray(random.integer(other.length + 1))]);
  },
};

const KINDS = Object.values(mutations);
const MOST_BYTES = 2 ** 22;

/**
 * One of `seeds`, damaged one to eight times by draws from `random`: bytes of a file, or with several files one of them
 * left out or put in another's place. `words` are the format's own, put in as they are. Results are at most 4 MiB a file.
 */
export function mutate(seeds: readonly FuzzInput[], words: readonly string[], random: Random): FuzzInput {
  const pick = <T>(items: readonly T[]): T => items[random.integer(items.length)]!;
  const files: Record<string, Uint8Array> = { ...pick(seeds) };
  for (let times = 1 + random.integer(8); times > 0; times--) {
    const names = Object.keys(files);
    if (names.length === 0) break;
    const name = pick(names);
    if (names.length > 1 && random.integer(16) === 0) {
      if (random.integer(2) === 0) delete files[name];
      else files[name] = files[pick(names)]!;
      continue;
    }
    const other = pick(Object.values(pick(seeds)));
    const mutated = pick(KINDS)(Buffer.from(files[name]!), random, words, other);
    files[name] = mutated.subarray(0, MOST_BYTES);
  }
  return files;
}
