/**
 * `npm run fuzz -- [--cases N] [--only tar,csv] [--seed S] [--from N] [--keep FOLDER]`: N cases (1,000) of every target, each
 * a pure function of seed and number; prints a summary and what failed, keeps the inputs that failed, exits with 1.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { fuzz } from "./runner.js";
import { caseOf } from "./target.js";
import { targets } from "./targets/index.js";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "1000" },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    keep: { type: "string" },
  },
});
const names = targets.map(({ name }) => name);
const wanted = values.only?.split(",") ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`fuzz: --only takes ${names.join(", ")}; got ${unknown.join(", ")}.`);
  process.exit(2);
}
const [cases, seed, from] = [Number(values.cases), Number(values.seed), Number(values.from)];
let failed = 0;
for (const target of targets.filter(({ name }) => wanted.includes(name))) {
  const start = performance.now();
  const summary = await fuzz(target.name, { cases, seed, from });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(
    `${target.name.padEnd(16)} ${summary.read} read, ${summary.refused} refused, ${summary.failures.length} failed; ${Math.round(summary.peakBytes / 2 ** 20)} MiB, ${seconds} s`,
  );
  for (const failure of summary.failures) {
    console.error(`  case ${failure.case} (--seed ${seed}): ${failure.what}`);
    if (values.keep === undefined || failure.case < 0) continue;
    const input = caseOf(target, await target.seeds(), seed, failure.case);
    for (const [name, bytes] of Object.entries(input)) {
      const path = join(values.keep, target.name, String(failure.case), name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
  }
  failed += summary.failures.length;
}
process.exit(failed > 0 ? 1 : 0);
