/**
 * Packs what a machine with a GPU, Python and neither Node nor network needs to run and measure this checkout:
 *
 *     npm run bench:gpu-pack -- --out gpu-pack [--wheels FOLDER]
 *     (copy gpu-pack/ there)    bash gpu-pack/run.sh all results/
 *
 * `node.xz` is this machine's Node, `app.tar.xz` the built output with the modules that it needs on Linux x64, `wheels/` what
 * Python lacks there (open_clip_torch and what it imports, as pip downloaded them). The plugin is that of the Python's own
 * jax-cuda13-plugin. Says the size of each; 64 MiB in all is what some ways to such machines carry.
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { out: { type: "string", default: "gpu-pack" }, wheels: { type: "string" } },
});
const root = fileURLToPath(new URL("../../../", import.meta.url));
const out = values.out;

/** What no run there touches: other platforms' builds, sources for bundlers, types, maps. */
const unused = [
  /onnxruntime-node\/bin\/napi-v\d+\/(?!linux\/x64)/,
  /onnxruntime-node\/bin\/.*(cuda|tensorrt)/,
  /onnxruntime-common\/dist\/(?!cjs|esm)/,
  /@img\/(?!.*linux-x64|colour)/,
  /@koromix\/(?!.*linux-x64)/,
  /\.(d\.[cm]?ts|map|md)$/,
  /zod\/(src|v3|locales)/,
];

/** Installed packages that `dependencies` lead to, by their folders. */
function needed(): string[] {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, "utf8"));
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const next = join(root, "node_modules", name, "package.json");
      if (seen.has(name) || !existsSync(next)) continue;
      seen.add(name);
      visit(next);
    }
  };
  visit(join(root, "package.json"));
  return [...seen].sort();
}

function run(command: string, words: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, words, { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${command} ${words.join(" ")}: ${error?.message ?? stderr}`);
}

rmSync(out, { recursive: true, force: true });
const app = join(out, "app");
mkdirSync(app, { recursive: true });
for (const part of ["package.json", "dist", "test/fixtures", "bench"]) {
  cpSync(join(root, part), join(app, part), { recursive: true, filter: (path) => !path.endsWith(".map") });
}
for (const name of needed()) {
  const from = join(root, "node_modules", name);
  cpSync(from, join(app, "node_modules", name), {
    recursive: true,
    dereference: true,
    filter: (path) => {
      const inside = path.slice(join(root, "node_modules").length + 1).replaceAll(sep, "/");
      return statSync(path).isDirectory() || !unused.some((pattern) => pattern.test(inside));
    },
  });
}
const preset = "-6e";
run("tar", ["-C", out, "-cf", join(out, "app.tar"), "app"]);
run("xz", [preset, "-T0", join(out, "app.tar")]);
rmSync(app, { recursive: true });
copyFileSync(process.execPath, join(out, "node"));
chmodSync(join(out, "node"), 0o755);
run("xz", [preset, "-T0", join(out, "node")]);
copyFileSync(join(root, "bench/gpu/run.sh"), join(out, "run.sh"));
copyFileSync(join(root, "bench/gpu/summary.py"), join(out, "summary.py"));
if (values.wheels !== undefined) cpSync(values.wheels, join(out, "wheels"), { recursive: true });

let total = 0;
for (const name of readdirSync(out, { recursive: true, encoding: "utf8" })) {
  const stat = statSync(join(out, name));
  if (!stat.isFile()) continue;
  total += stat.size;
  console.error(`${(stat.size / 2 ** 20).toFixed(1).padStart(6)} MiB  ${name}`);
}
console.error(`${(total / 2 ** 20).toFixed(1).padStart(6)} MiB in ${out}`);
