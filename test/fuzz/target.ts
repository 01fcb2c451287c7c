/** What can be fuzzed: a reader of a format, with sound files to begin from. */
import { foldIn, keyFromSeed, Random } from "../../src/core/random.js";
import { type FuzzInput, mutate } from "./mutate.js";

export interface FuzzTarget {
  readonly name: string;
  /** Sound inputs, made here or taken from test/fixtures; each is read without complaint. */
  seeds(): Promise<readonly FuzzInput[]>;
  /** Texts that matter to the format, put into files as they are. */
  readonly words?: readonly string[];
  /** Makes checksums and lengths right again, so that damage reaches what lies behind them; every second case. */
  repair?(input: FuzzInput): FuzzInput;
  /**
   * Reads the files in `folder`. Throws a `UsageError` or `Unsupported` where they are refused; otherwise what was read
   * must be right, and is asserted as far as it can be.
   */
  run(folder: string, input: FuzzInput): Promise<void>;
}

/** The input of case `number`: a pure function of seed, target and number. */
export function caseOf(
  target: FuzzTarget,
  seeds: readonly FuzzInput[],
  seed: number,
  number: number,
): FuzzInput {
  const random = new Random(foldIn(keyFromSeed(seed), target.name, number));
  const input = mutate(seeds, target.words ?? [], random);
  return target.repair !== undefined && random.integer(2) === 0 ? target.repair(input) : input;
}
