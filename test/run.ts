/** Runs every `*.test.js` under dist/test (or those whose path contains an argument), one file at a time. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../src/core/cache-folder.js";

const root = fileURLToPath(new URL(".", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.js"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(root, file));
if (files.length === 0) {
  console.error(`No test file matches: ${wanted.join(" ")}`);
  process.exit(1);
}
// What tests embed or unpack is kept nowhere; engines are those that are installed.
const cache = mkdtempSync(join(tmpdir(), "clipwright-cache-"));
const plugins = join(cacheFolder(), "plugins");
if (existsSync(plugins)) symlinkSync(plugins, join(cache, "plugins"));
const { status } = spawnSync(process.execPath, ["--test", "--test-concurrency=1", ...files], {
  stdio: "inherit",
  env: { ...process.env, CLIPWRIGHT_CACHE: cache, CLIPWRIGHT_ENGINE: "onnxruntime" },
});
rmSync(cache, { recursive: true, force: true });
process.exit(status ?? 1);
