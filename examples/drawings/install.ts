/** The packages of an example, fetched when it is first run. */
import { spawn } from "node:child_process";
import { UsageError } from "../../src/core/errors.js";

/** Runs `npm ci` in an example's folder. Throws `UsageError` with npm's last line where it fails. */
export async function installPackages(folder: string, what: string): Promise<void> {
  const log: string[] = [];
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn("npm", ["ci", "--no-audit", "--no-fund"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.on("data", (chunk: Buffer) => log.push(chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => log.push(chunk.toString()));
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0)
    throw new UsageError(
      `${what}: npm ci in ${folder} must succeed; got exit code ${code}: ${log.join("").trim().split("\n").at(-1)}. ` +
        "Check that the npm registry can be reached, then run the same command again.",
    );
}
