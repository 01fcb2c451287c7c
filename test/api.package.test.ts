/**
 * The package as others have it: packed, laid into an empty project, its README's code compiled with what `tsc --init` writes,
 * and run.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { keptHelp } from "../src/cli/kept-help.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const modules = join(root, "node_modules");
const folder = scratchFolder();
const project = join(folder, "project");
const program = join(project, "node_modules", "clipwright", "dist", "src", "cli", "main.js");

interface Packed {
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

/** What `npm pack` would put into the package. */
function packed(): Packed {
  const words = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { stdout, stderr } = spawnSync("npm", words, { cwd: root, encoding: "utf8" });
  const [pack] = Object.values(JSON.parse(stdout || "[]") as Record<string, Packed>);
  assert(pack !== undefined, stderr);
  return pack;
}

const run = (command: string, words: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd: project, encoding: "utf8" });
  return { status, out: stdout, err: stderr };
};

/** TypeScript blocks of the README. */
const snippets = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)].map(
  ([, code]) => code!,
);

/** A study as its author writes it, and each mistake that the compiler is to find. */
const typedStudy = `import { defineStudy, formatAnswer, openStudy, runStudy, type StudyOutcome } from "clipwright";
const rest = { regime: { samples: 16 }, seeds: 1, suite: "suite.json", score: "test/acc1" };
const question = { text: "Which rate?", factor: "rate" } as const;
const recipe = { trainData: "photos", model: "clipwright-nano-32", batchSize: 8 };
const rate = { low: { lr: 1e-4 }, high: { lr: 1e-3, part: { random: 0.5 } } };
const rates = defineStudy({ ...rest, question, recipe, factors: { rate, batchSize: [8, 16] } });
export default { small: rates, large: rates };
// @ts-expect-error: no such factor
defineStudy({ ...rest, question: { text: "?", factor: "rte" }, recipe, factors: { rate } });
// @ts-expect-error: no such setting of a level
defineStudy({ ...rest, question, recipe, factors: { rate: { low: { lrr: 1 }, high: { lr: 2 } } } });
// @ts-expect-error: a setting of another type
defineStudy({ ...rest, question, recipe, factors: { rate: { low: { lr: "1" }, high: { lr: 2 } } } });
// @ts-expect-error: no such setting of the recipe
defineStudy({ ...rest, question, recipe: { trainDate: "photos" }, factors: { rate } });
// @ts-expect-error: the regime says how long runs are
defineStudy({ ...rest, question, recipe: { trainData: "photos", epochs: 3 }, factors: { rate } });
// @ts-expect-error: no such regime
defineStudy({ ...rest, question, recipe, factors: { rate }, regime: { epoch: 1 } });
// @ts-expect-error: seeds
defineStudy({ ...rest, question, recipe, factors: { rate }, seed: 1 });
export async function ask(): Promise<StudyOutcome> {
  const study = await openStudy(rates, { folder: "studies", onNote: console.log });
  const { left } = study.outlook();
  const { answer } = await study.run({ budget: left.seconds, onRun: ({ cell }) => console.log(cell.levels.rate) });
  if (answer !== undefined) console.log(formatAnswer(answer));
  await study.close();
  return runStudy({ small: rates }, { size: "small", budget: "3h", signal: AbortSignal.timeout(1000) });
}
// @ts-expect-error: budget
export const wrong = () => runStudy(rates, { bugdet: "3h" });
`;

suite("the package in a project of its own", () => {
  let pack: Packed;

  before(async () => {
    await keptHelp();
    pack = packed();
    const home = join(project, "node_modules", "clipwright");
    for (const { path } of pack.files) {
      mkdirSync(join(home, dirname(path)), { recursive: true });
      cpSync(join(root, path), join(home, path));
    }
    // What npm would have installed beside it, but for ONNX Runtime.
    for (const name of readdirSync(modules)) {
      if (name.startsWith(".") || ["clipwright", "onnxruntime-node"].includes(name)) continue;
      symlinkSync(join(modules, name), join(project, "node_modules", name));
    }
    put(project, "package.json", '{ "type": "module" }');
    for (let i = 0; i < 16; i++) {
      put(project, `photos/${i}.png`, await pngOf(i));
      put(project, `photos/${i}.txt`, `picture ${i}`);
    }
  });

  test("stays within its budget", () => {
    assert(pack.size <= 1_500_000, `packed: at most 1.5 MB; got ${pack.size} bytes`);
    assert(pack.unpackedSize <= 5_500_000, `unpacked: at most 5.5 MB; got ${pack.unpackedSize} bytes`);
  });

  test("holds the program, the types, the docs and nothing of the tests", () => {
    const paths = pack.files.map(({ path }) => path);
    for (const path of ["dist/src/index.js", "dist/src/index.d.ts", "README.md", "LICENSE", "docs/recipe.md"])
      assert(paths.includes(path), path);
    assert(paths.includes("dist/src/cli/help.json"), "the help is kept: run npm run build");
    for (const path of paths)
      assert(!/^(?:dist\/)?(?:test|bench|examples\/(?!drawings|icons))\b/.test(path), path);
  });

  test("says what brings ONNX Runtime where npm left it out, and works without it where it can", () => {
    const { status, err } = run(process.execPath, [program, "embed", "photos", "--text", "a dog"]);
    assert.match(
      err,
      /^clipwright: onnxruntime: its package .* Install again, .* ONNXRUNTIME_NODE_INSTALL=skip .*\n$/,
    );
    assert.equal(status, 1);
    assert.match(
      run(process.execPath, [program, "engines"]).out,
      /--engine onnxruntime\n.*\n {2}not usable: its package/,
    );
    assert.match(run(process.execPath, [program, "inspect", "photos"]).out, /16/);
  });

  test("README's code compiles from tsc --init and runs", () => {
    symlinkSync(join(modules, "onnxruntime-node"), join(project, "node_modules", "onnxruntime-node"));
    const tsc = join(modules, "typescript", "bin", "tsc");
    assert.equal(run(process.execPath, [tsc, "--init"]).status, 0);
    assert(snippets.length > 0);
    for (const [i, code] of snippets.entries()) {
      writeFileSync(join(project, `snippet-${i}.ts`), code);
    }
    const compiled = run(process.execPath, [tsc, "-p", "."]);
    assert.equal(compiled.status, 0, compiled.out);
    // Half an hour is more than a test has.
    const file = join(project, "snippet-0.js");
    const short = readFileSync(file, "utf8").replace(
      /time: "[^"]*"/,
      "steps: 2, batchSize: 8, threads: 1, workers: 1",
    );
    writeFileSync(file, short);
    for (const i of snippets.keys()) {
      const { status, err, out } = run(process.execPath, [`snippet-${i}.js`]);
      assert.equal(status, 0, err);
      assert.match(out, /\S/);
    }
  });

  test("a study that comes along says how its data are got", () => {
    const study = (...words: string[]) => run(process.execPath, [program, "study", ...words]);
    const refused: readonly (readonly [name: string, size: string, what: RegExp])[] = [
      ["quantity", "small", /"examples\/icons\/data\/train\/\*\.tar"\..* npx clipwright-icons makes/],
      ["quality", "small", /"planted\/icons\/pairs\.jsonl"\..* in a checkout of Clipwright/],
      ["encoders", "medium", /"data\/cc3m\/\*\.tar"\..* docs\/studies\.md/],
      ["strategies", "paper", /"data\/pairs\/\*\.tar"\..* docs\/studies\.md/],
    ];
    for (const [name, size, what] of refused) {
      const { status, err } = study(name, "--size", size, "--dry-run", "--engine", "onnxruntime");
      assert.match(err, what);
      assert.equal(err.trim().split("\n").length, 1, err);
      assert.equal(status, 1);
    }
  });

  test("its programs are called by name; drawings are made where they are called", () => {
    const home = join(project, "node_modules", "clipwright");
    const { bin } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as {
      bin: Record<string, string>;
    };
    assert.deepEqual(Object.keys(bin), ["clipwright", "clipwright-icons"]);
    for (const path of Object.values(bin))
      assert.match(readFileSync(join(home, path), "utf8"), /^#!\/usr\/bin\/env node\n/);
    for (const name of ["package.json", "package-lock.json"])
      assert.match(readFileSync(join(home, "examples", "icons", name), "utf8"), /@iconify\/json/);
    symlinkSync(join(home, bin["clipwright-icons"]!), join(project, "clipwright-icons"));
    const { err, status } = run(process.execPath, ["clipwright-icons", "--size", "3"]);
    assert.match(err, /^clipwright-icons: size: a whole number of pixels from 16 to 512; got size=3\..*\n$/);
    assert.equal(status, 1);
  });

  test("its types hold under nodenext and under a bundler, the browser's part too, and are all there", () => {
    const code = `import { openIndex, train, type Recipe } from "clipwright";
import { openWebIndex, openWebModel, type WebModel } from "clipwright/web";
export const names = [openIndex, train, openWebIndex, openWebModel].map(({ name }) => name);
export type Both = [Recipe, WebModel];
`;
    writeFileSync(join(project, "study.ts"), typedStudy);
    writeFileSync(join(project, "types.ts"), code);
    const tsc = join(modules, "typescript", "bin", "tsc");
    const strict = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2023,dom,esnext.disposable"];
    for (const kind of ["nodenext", "bundler"]) {
      const module = kind === "bundler" ? "esnext" : kind;
      const words = [tsc, "--ignoreConfig", ...strict, "--module", module, "--moduleResolution", kind];
      const compiled = run(process.execPath, [...words, "--types", "node", "types.ts", "study.ts"]);
      assert.equal(compiled.status, 0, `${kind}: ${compiled.out}`);
    }
  });
});
