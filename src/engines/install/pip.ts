/** Asks pip, whichever Python's is there, for wheels by version and hash. */

import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import type { WheelPins } from "./pins.js";

const pips: readonly (readonly [string, ...string[]])[] = [
  ["python3", "-m", "pip"],
  ["python", "-m", "pip"],
  ["pip3"],
  ["pip"],
];

/**
 * Downloads the wheels of `pins` into the folder `to`, which must exist. pip is told their versions, hashes and
 * platforms, so that neither its own Python nor this machine decides what comes. Throws `UsageError` when there is
 * no pip, or when it does not find them.
 */
export async function pipDownload(pins: WheelPins, to: string, say: (line: string) => void): Promise<void> {
  const requirements = join(to, "requirements.txt");
  await writeFile(
    requirements,
    Object.keys(pins)
      .map((file) => requirement(file, pins[file]!))
      .join(""),
  );
  const missing: string[] = [];
  for (const [command, ...prefix] of pips) {
    const version = await runProcess(command, [...prefix, "--version"], () => {});
    if (version.status !== 0) {
      missing.push([command, ...prefix].join(" "));
      continue;
    }
    const args = [
      "download",
      // The sets name every wheel: what these declare as dependencies is for use from Python.
      "--no-deps",
      "--only-binary=:all:",
      "--require-hashes",
      "--progress-bar=off",
      ...platformOptions(Object.keys(pins)),
      `--dest=${to}`,
      `--requirement=${requirements}`,
    ];
    const { status, output } = await runProcess(command, [...prefix, ...args], say);
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

/** What a wheel's file name says: `project-version(-build)?-python-abi-platform.whl`, each tag several with dots. */
function tagsOf(file: string) {
  const parts = file.replace(/\.whl$/, "").split("-");
  const [python, abi, platform] = parts.slice(-3).map((tag) => tag.split("."));
  return { project: parts[0]!, version: parts[1]!, python: python!, abi: abi!, platform: platform! };
}

function requirement(file: string, sha256: string): string {
  const { project, version } = tagsOf(file);
  return `${project}==${version} --hash=sha256:${sha256}\n`;
}

/** The platform, and the Python where a wheel is for one version, that the files are for. */
function platformOptions(files: readonly string[]): string[] {
  const tags = files.map(tagsOf);
  const platforms = new Set(tags.flatMap((t) => t.platform));
  const abis = new Set(tags.flatMap((t) => t.abi));
  const cpython = tags.flatMap((t) => t.python).find((tag) => /^cp3\d+$/.test(tag));
  return [
    ...[...platforms].map((platform) => `--platform=${platform}`),
    ...[...abis].map((abi) => `--abi=${abi}`),
    ...(cpython === undefined ? [] : ["--implementation=cp", `--python-version=${cpython.slice(2)}`]),
  ];
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
