/** `clipwright engines install`: brings a plugin and its libraries by pip, and unpacks them side by side. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { didYouMean, UsageError } from "../../core/errors.js";
import { pluginFolder, pluginPath, pluginSets } from "./plugins.js";
import { unpackWheel } from "./wheel.js";

export interface InstallOptions {
  /** Called with a line for every step, and with what pip says. */
  readonly onProgress?: ((line: string) => void) | undefined;
  /** A folder that already holds the wheels, for machines without a network. Default: pip downloads them. */
  readonly wheels?: string | undefined;
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
 * is whole. Throws `UsageError` when pip, the network or a wheel is missing.
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
  const say = options.onProgress ?? (() => {});
  const folder = pluginFolder(name);
  const fresh = `${folder}.new`;
  const downloads = `${folder}.wheels`;
  await Promise.all([fresh, downloads].map((f) => rm(f, { recursive: true, force: true })));
  try {
    if (options.wheels === undefined) {
      say(`${name}: downloading ${set.wheels.length} wheels (about ${set.diskGb} GB unpacked)`);
      await mkdir(downloads, { recursive: true });
      await pipDownload(set.wheels, downloads, say);
    }
    const source = options.wheels ?? downloads;
    const wheels = (await readdir(source)).filter((file) => file.endsWith(".whl")).sort();
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

const pips: readonly (readonly [string, ...string[]])[] = [
  ["python3", "-m", "pip"],
  ["python", "-m", "pip"],
  ["pip3"],
  ["pip"],
];

async function pipDownload(
  wheels: readonly string[],
  to: string,
  say: (line: string) => void,
): Promise<void> {
  const missing: string[] = [];
  for (const [command, ...prefix] of pips) {
    const version = await runProcess(command, [...prefix, "--version"], () => {});
    if (version.status !== 0) {
      missing.push([command, ...prefix].join(" "));
      continue;
    }
    // The sets name every wheel: what these declare as dependencies is for use from Python.
    const args = [
      ...prefix,
      "download",
      "--no-deps",
      "--only-binary=:all:",
      "--progress-bar=off",
      "--dest",
      to,
    ];
    const { status, output } = await runProcess(command, [...args, ...wheels], say);
    if (status === 0) return;
    throw new UsageError(
      `engines install: pip must find the wheels; it ended with ${status}: ${lastLines(output)}. ` +
        "Check the network and pip's index, or give a folder of wheels with --wheels.",
    );
  }
  throw new UsageError(
    `engines install: needs pip to download wheels; none of ${missing.join(", ")} works. ` +
      "Install Python's pip, or give a folder of wheels with --wheels.",
  );
}

const lastLines = (text: string): string => text.trim().split("\n").slice(-3).join(" ");

function runProcess(
  command: string,
  args: readonly string[],
  say: (line: string) => void,
): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        for (const line of text.split("\n")) if (line.trim() !== "") say(line);
      });
    }
    child.on("error", () => resolve({ status: -1, output }));
    child.on("close", (status) => resolve({ status: status ?? -1, output }));
  });
}
