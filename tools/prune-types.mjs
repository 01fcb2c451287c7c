/** Removes from `dist/src` the types that no entry of the package leads to: they would be a fifth of it. */

import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("../dist/src/", import.meta.url));
const reached = new Set();

function follow(path) {
  if (reached.has(path) || !existsSync(path)) return;
  reached.add(path);
  const text = readFileSync(path, "utf8");
  for (const [, from] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]*)\.js"/g))
    follow(`${resolve(dirname(path), from)}.d.ts`);
}

for (const entry of ["index.d.ts", "web/index.d.ts"]) follow(join(source, entry));
for (const name of readdirSync(source, { recursive: true })) {
  const path = join(source, name);
  if (name.endsWith(".d.ts") && !reached.has(path)) rmSync(path);
}
