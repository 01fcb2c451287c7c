/** `clipwright engines install`: brings a plugin and its libraries as wheels, and unpacks them side by side. */

import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { didYouMean, UsageError } from "../../core/errors.js";
import type { WheelPins } from "./pins.js";
import { pipDownload } from "./pip.js";
import { pluginFolder, pluginPath, pluginSets } from "./plugins.js";
import { unpackWheel } from "./wheel.js";

export interface InstallOptions {
  /** Called with a line for every step, and with what pip says. */
  readonly onProgress?: ((line: string) => void) | undefined;
  /** A folder that already holds the wheels, for machines without a network. Default: pip downloads them. */
  readonly wheels?: string | undefined;
  /**
   * Takes whatever wheels lie in `wheels`, of versions that were not tested with this package, at one's own risk:
   * each is still checked against its own RECORD. Default false.
   */
  readonly untested?: boolean | undefined;
}

export interface Installed {
  /** The plugin's library. */
  readonly path: string;
  readonly wheels: readonly string[];
  readonly files: number;
  readonly bytes: number;
}

/**
 * Installs the plugin set `name` under the cache folder, in the layout of Python's site-packages: libraries
 * find each other by their places relative to the plugin. An earlier installation is replaced once the new one
 * is whole. Throws `UsageError` when pip, the network or a wheel is missing, or a wheel is not the tested one.
 */
export async function installPlugin(name: string, options: InstallOptions = {}): Promise<Installed> {
  const set = pluginSets[name];
  if (set === undefined) {
    throw new UsageError(
      `engines install: needs one of ${Object.keys(pluginSets).join(", ")}; got ${name}.${didYouMean(name, Object.keys(pluginSets))}`,
    );
  }
  if (process.platform !== "linux") {
    throw new UsageError(
      `engines install: ${name} has builds for Linux only; this is ${process.platform}. Use the default engine.`,
    );
  }
  const { untested = false } = options;
  if (untested && options.wheels === undefined) {
    throw new UsageError(
      "engines install: --untested needs --wheels: download the versions that you want, and give their folder.",
    );
  }
  const pins = set.wheels[process.arch];
  if (pins === undefined && !untested) {
    throw new UsageError(
      `engines install: ${name} has builds for ${Object.keys(set.wheels).join(", ")}; this is ${process.arch}. Use the default engine.`,
    );
  }
  const say = options.onProgress ?? (() => {});
  const folder = pluginFolder(name);
  const fresh = `${folder}.new`;
  const downloads = `${folder}.wheels`;
  await Promise.all([fresh, downloads].map((f) => rm(f, { recursive: true, force: true })));
  try {
    if (options.wheels === undefined) {
      say(`${name}: downloading ${Object.keys(pins!).length} wheels (about ${set.diskGb} GB unpacked)`);
      await mkdir(downloads, { recursive: true });
      await pipDownload(pins!, downloads, say);
    }
    const source = options.wheels ?? downloads;
    const wheels = await wheelsIn(source);
    if (!untested) await checkPins(name, pins!, source, wheels);
    await mkdir(fresh, { recursive: true });
    let files = 0;
    let bytes = 0;
    for (const wheel of wheels) {
      say(`${name}: unpacking ${wheel}`);
      const unpacked = await unpackWheel(join(source, wheel), fresh);
      files += unpacked.files;
      bytes += unpacked.bytes;
    }
    if (!existsSync(join(fresh, set.file))) {
      throw new UsageError(
        `engines install: the wheels must hold ${set.file}; got ${wheels.join(", ") || "none"} in ${source}. ` +
          "Give the folder with the plugin's wheel.",
      );
    }
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
    say(`${name}: installed ${files} files, ${(bytes / 1e9).toFixed(2)} GB`);
    return { path: pluginPath(name), wheels, files, bytes };
  } finally {
    await Promise.all([fresh, downloads].map((f) => rm(f, { recursive: true, force: true })));
  }
}

async function wheelsIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((file) => file.endsWith(".whl")).sort();
  } catch (error) {
    throw new UsageError(
      `engines install: --wheels must be a folder that can be read; got ${folder} (${(error as NodeJS.ErrnoException).code}).`,
    );
  }
}

/** The folder must hold the tested wheels, by their content, and no others; names are for people. */
async function checkPins(
  name: string,
  pins: WheelPins,
  folder: string,
  wheels: readonly string[],
): Promise<void> {
  const wanted = new Map(Object.entries(pins).map(([file, sha256]) => [sha256, file]));
  for (const wheel of wheels) {
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, wheel)), hash);
    const sha256 = hash.digest("hex");
    if (!wanted.delete(sha256)) {
      throw new UsageError(
        `engines install: ${join(folder, wheel)} is none of the wheels that ${name} was tested with ` +
          `(${Object.keys(pins).join(", ")}): its SHA-256 is ${sha256}. Take it out, download it again, or give --untested.`,
      );
    }
  }
  if (wanted.size > 0) {
    throw new UsageError(
      `engines install: ${folder} lacks ${[...wanted.values()].join(", ")}, which ${name} needs. Download them into it.`,
    );
  }
}
