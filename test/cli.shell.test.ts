import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Command, type CommandEntry, defineCommand, optionsOf } from "../src/cli/command.js";
import { inspectCommand } from "../src/cli/commands/inspect.js";
import { makeTrainCommand } from "../src/cli/commands/train.js";
import { commands } from "../src/cli/commands.js";
import { helpPages, keptHelp } from "../src/cli/kept-help.js";
import { scoreLines } from "../src/cli/scores.js";
import { terminalOf } from "../src/cli/shell.js";
import { InternalError, UsageError } from "../src/core/errors.js";
import { defaulted, flag, integer, kebab, list, optional, real, text } from "../src/settings/fields.js";
import type { StepReport, TrainFunction } from "../src/train/hooks.js";
import type { Recipe } from "../src/train/recipe/recipe.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

/** Runs words and gives all that a person would see. */
const run = (all: readonly (Command | CommandEntry)[], words: readonly string[], interactive = false) =>
  runWords(all, words, { interactive });

let seen: unknown;
const probe = defineCommand({
  name: "probe",
  summary: "Shows what it was given.",
  positionals: [{ name: "FILE", doc: "A file.", required: true, many: true }],
  options: {
    Main: {
      batchSize: defaulted(integer(1), 8, "A size.", { aliases: ["batch"] }),
      lr: optional(real(), "A rate."),
      flip: defaulted(flag(), false, "A switch."),
      shuffle: defaulted(flag(), true, "Another switch."),
      source: optional(list(text(), { separator: "::" }), "Sources."),
    },
    Output: { json: defaulted(flag(), false, "As JSON.") },
  },
  examples: [],
  async run({ options, positionals }) {
    seen = { ...options, positionals };
    if (positionals[0] === "usage") throw new UsageError("file: must exist; got usage. Make it.");
    if (positionals[0] === "internal") throw new InternalError("a thing: must hold; got nothing.");
    if (positionals[0] === "crash") throw new TypeError("x is not a function");
    return options.json ? 3 : undefined;
  },
});
const parsed = async (...words: string[]) => {
  const { code, err } = await run([probe], ["probe", ...words]);
  assert.equal(err, "");
  assert.equal(code, 0);
  return seen as Record<string, unknown>;
};

suite("runCommandLine: options", () => {
  test("defaults, values after a space or =, aliases, camel case", async () => {
    assert.deepEqual(await parsed("a"), {
      batchSize: 8,
      lr: undefined,
      flip: false,
      shuffle: true,
      source: undefined,
      json: false,
      positionals: ["a"],
    });
    for (const words of [["--batch-size", "9"], ["--batch-size=9"], ["--batch", "9"], ["--batchSize=9"]]) {
      assert.equal((await parsed("a", ...words)).batchSize, 9);
    }
  });

  test("switches: --flip, --no-shuffle, --flip false, --flip=true", async () => {
    assert.equal((await parsed("--flip", "a")).flip, true);
    assert.equal((await parsed("--no-shuffle", "a")).shuffle, false);
    assert.equal((await parsed("--shuffle", "false", "a")).shuffle, false);
    assert.equal((await parsed("--flip=true", "a")).flip, true);
  });

  test("repeats and joined lists, negative numbers, words after --", async () => {
    assert.deepEqual((await parsed("a", "--source", "x::y", "--source=z")).source, ["x", "y", "z"]);
    assert.equal((await parsed("a", "--lr", "-1.5e-3")).lr, -1.5e-3);
    assert.deepEqual((await parsed("a", "--", "--lr")).positionals, ["a", "--lr"]);
  });

  const bad: [string[], RegExp][] = [
    [
      ["a", "--bach-size", "3"],
      /^clipwright: --bach-size: no such option of probe\. Did you mean "--batch-size"\?\n$/,
    ],
    [["a", "--batchsise", "3"], /Did you mean "--batch-size"\?\n$/],
    [["a", "--zzzzzzzzz"], /See clipwright probe --help/],
    [["a", "-b", "3"], /-b: no such option/],
    [["a", "--lr"], /--lr: needs a value; got nothing\. Write --lr X/],
    [["a", "--lr", "--flip"], /--lr: needs a value/],
    [["a", "--no-lr"], /--no-lr: no such option/],
    [["a", "--no-flip=1"], /--no-flip: takes no value/],
    [["a", "--lr", "1", "--lr", "2"], /--lr: given twice; got 1 and 2/],
    [[], /FILE: is required/],
  ];
  for (const [words, pattern] of bad) {
    test(`refuses ${JSON.stringify(words)} in one line, with code 2`, async () => {
      const { code, err, out } = await run([probe], ["probe", ...words]);
      assert.match(err, pattern);
      assert.equal(err.split("\n").length, 2);
      assert.deepEqual([code, out], [2, ""]);
    });
  }

  test("a wrong value is code 2, and names the option", async () => {
    const { code, err } = await run([probe], ["probe", "a", "--batch-size", "many"]);
    assert.equal(err, 'clipwright: --batch-size: must be an integer from 1; got --batch-size="many".\n');
    assert.equal(code, 2);
  });

  test("words beyond those taken are refused", async () => {
    const { code, err } = await run(commands, ["train", "a", "b"]);
    assert.match(err, /takes RECIPE; got also "b"/);
    assert.equal(code, 2);
  });
});

suite("runCommandLine: failures and help", () => {
  test("a UsageError is one line and 1; the command's own code is passed on", async () => {
    const { code, err } = await run([probe], ["probe", "usage"]);
    assert.deepEqual([code, err], [1, "clipwright: file: must exist; got usage. Make it.\n"]);
    assert.equal((await run([probe], ["probe", "a", "--json"])).code, 3);
  });

  test("a fault of ours is 70, with version, stack, and a request to report", async () => {
    for (const word of ["internal", "crash"]) {
      const { code, err } = await run([probe], ["probe", word]);
      assert.equal(code, 70);
      assert.match(
        err,
        /please report.*\nclipwright \d+\.\d+\.\d+ \(node .*\n(?:InternalError|TypeError).*\n\s+at /,
      );
    }
  });

  test("an unknown command is 2, with the nearest", async () => {
    const { code, err } = await run(commands, ["trian"]);
    assert.match(err, /^clipwright: trian: no such command; .*Did you mean "train"\?\n$/);
    assert.equal(code, 2);
    assert.match((await run(commands, ["--lr", "3"])).err, /a command comes first/);
  });

  test("no command at all shows the overview, as a fault", async () => {
    const { code, err, out } = await run(commands, []);
    assert.match(err, /Usage {2}clipwright COMMAND/);
    assert.deepEqual([code, out], [2, ""]);
  });

  test("help lists every command, and with --all every option of each with its default, within the width", async () => {
    const overview = await run(commands, ["--help"]);
    assert.equal(overview.code, 0);
    for (const entry of commands) {
      assert(overview.out.includes(`\n  ${entry.name} `), entry.name);
      const { out, code } = await run(commands, [entry.name, "--help", "--all"]);
      assert.equal(code, 0);
      assert.equal(out, (await run(commands, ["help", entry.name, "--all"])).out);
      for (const line of out.split("\n")) assert(line.length <= 80, line);
      for (const key of Object.keys(optionsOf(await entry.load()))) {
        assert.match(out, new RegExp(`^ {2}--${kebab(key)}( |$)`, "m"));
      }
    }
    const help = (await run([probe], ["probe", "-h"])).out;
    assert.match(help, /Usage {2}clipwright probe FILE… \[--option value\]/);
    assert.match(help, /\nMain\n {2}--batch-size N {2,}A size\. \(8\)\n/);
  });

  test("the short help has what most people need, and says how many more options there are", async () => {
    const brief = (await run([{ ...probe, brief: ["lr", "json"] }], ["probe", "--help"])).out;
    assert.deepEqual(brief.match(/--[a-z-]+/g), ["--option", "--lr", "--json", "--help", "--all"]);
    assert.match(brief, /\n4 more options: clipwright probe --help --all\n/);
    const train = (await run(commands, ["train", "--help"])).out;
    assert(train.split("\n").length <= 80, `train --help: at most 80 lines; got ${train.split("\n").length}`);
    for (const { load } of commands) {
      const command = await load();
      for (const key of command.brief ?? []) assert(key in optionsOf(command), `${command.name}: ${key}`);
    }
  });

  test("help is kept until the program is newer, and made anew then", async () => {
    const program = mkdtempSync(join(tmpdir(), "kept-help-"));
    after(() => rmSync(program, { recursive: true }));
    mkdirSync(join(program, "src", "cli"), { recursive: true });
    const [code, kept] = ["main.js", "help.json"].map((name) => join(program, "src", "cli", name));
    const at = (file: string, seconds: number) => utimesSync(file, seconds, seconds);
    writeFileSync(code!, "");
    at(code!, 1000);
    const pages = await keptHelp(program);
    assert.deepEqual(pages, JSON.parse(JSON.stringify(await helpPages(commands))));
    writeFileSync(kept!, JSON.stringify(pages.slice(1)));
    assert.equal((await keptHelp(program)).length, pages.length - 1, "what is kept is taken");
    at(kept!, 999);
    assert.equal((await keptHelp(program)).length, pages.length, "a newer program is asked again");
    writeFileSync(kept!, "torn {");
    assert.equal((await keptHelp(program)).length, pages.length, "a torn file is as none");
  });

  test("every command has a name of its own and valid examples", async () => {
    assert.equal(new Set(commands.map(({ name }) => name)).size, commands.length);
    for (const entry of commands) {
      const { name, examples } = await entry.load();
      assert.equal(name, entry.name);
      assert(examples.length > 0, name);
      for (const [line] of examples) assert(`${line} `.startsWith(`clipwright ${name} `), line);
    }
  });

  test("the program itself runs, and says its version", () => {
    const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
    const { stdout, status } = spawnSync(process.execPath, [main, "--version"], { encoding: "utf8" });
    assert.match(stdout, /^clipwright \d+\.\d+\.\d+ \(node /);
    assert.equal(status, 0);
  });
});

suite("terminalOf", () => {
  const stream = (isTTY: boolean) =>
    ({ isTTY, columns: 120, write: () => true }) as unknown as NodeJS.WriteStream & { fd: 1 };
  const of = (isTTY: boolean, env: NodeJS.ProcessEnv) =>
    terminalOf({ stdout: stream(isTTY), stderr: stream(isTTY) as never, env });
  test("colours and redraws on a terminal only, and honours NO_COLOR", () => {
    assert.deepEqual([of(true, {}).color, of(true, {}).interactive, of(true, {}).columns], [true, true, 120]);
    assert.equal(of(true, { NO_COLOR: "1" }).color, false);
    assert.equal(of(true, { NO_COLOR: "" }).color, true);
    assert.equal(of(true, { TERM: "dumb" }).interactive, false);
    assert.equal(of(false, {}).color, false);
  });

  test("what files and arguments hold cannot command a terminal; a pipe gets it as it is", () => {
    const written: string[] = [];
    const fake = (isTTY: boolean) =>
      ({ isTTY, write: (text: string) => written.push(text) }) as unknown as NodeJS.WriteStream & { fd: 1 };
    const hostile = "a\x1b]0;title\x07\u202egnp.exe\u009b2J\r\tb\n";
    for (const isTTY of [true, false])
      terminalOf({ stdout: fake(isTTY), stderr: fake(isTTY) as never, env: {} }).out(hostile);
    assert.deepEqual(written, ["a\\x1b]0;title\\x07\\u202egnp.exe\\x9b2J\\r\tb\n", hostile]);
    terminalOf({ stdout: fake(true), stderr: fake(true) as never, env: {} }).err("\r\x1b[K", true);
    assert.equal(written.at(-1), "\r\x1b[K");
  });

  test("an argument stands visible in the line that refuses it", async () => {
    const { err } = await run(commands, ["tr\x1b[31main\n\u202e"]);
    assert.match(err, /^clipwright: tr\\x1b\[31main\\n\\u202e: no such command/);
    assert.equal(err.trimEnd().includes("\n"), false);
  });
});

suite("clipwright train", () => {
  const folder = mkdtempSync(join(tmpdir(), "cli-"));
  after(() => rmSync(folder, { recursive: true }));
  let recipe: Recipe | undefined;
  const step = (n: number): StepReport => ({
    step: n,
    totalSteps: 3,
    samplesSeen: n * 64,
    loss: 4 - n,
    lr: 1e-3,
    logitScale: 14,
    gradNorm: 1,
    stepSeconds: 0.5,
    dataSeconds: 0.01,
    duplicateCaptionShare: 0,
  });
  const score = {
    step: 3,
    dataset: "val",
    task: "retrieval",
    metric: "recall@1",
    value: 0.25,
    low: 0.2,
    high: 0.3,
    n: 50,
  };
  const trainer: TrainFunction = async (given, hooks = {}) => {
    recipe = given;
    hooks.onStart?.({
      folder,
      recipe: given,
      step: 0,
      totalSteps: 3,
      warmupSteps: 0,
      description: "a tiny model",
    });
    for (let n = 1; n <= 3; n++) hooks.onStep?.(step(n));
    hooks.onMessage?.("The data are slow.", "warning");
    hooks.onEvaluation?.([score]);
    const finished = hooks.signal?.aborted !== true;
    return {
      folder,
      step: 3,
      totalSteps: 3,
      samplesSeen: 192,
      seconds: 75,
      loss: 1,
      finished,
      evaluation: [score],
    };
  };
  const all = [makeTrainCommand(async () => trainer)];
  const words = ["train", "--model", "ViT-S-32", "--train-data", "a::b", "--steps", "3"];

  test("hands the checked recipe to the trainer", async () => {
    const { code } = await run(all, [...words, "--warmup", "0.1", "--csv-img-key", "path", "--flip", "0.5"]);
    assert.equal(code, 0);
    assert.deepEqual(recipe?.trainData, ["a", "b"]);
    assert.equal(recipe?.csvImgKey, "path");
    assert.deepEqual(recipe?.warmup, { unit: "percent", value: 10 });
  });

  test("shows progress on standard error and the result on standard output", async () => {
    const { out, err } = await run(all, words);
    assert.match(
      err,
      /^New run .*\n {2}a tiny model\nstep 1\/3 {2}loss 3\.000.*\nstep 3\/3 .*\n {2}! The data are slow\.\n/,
    );
    assert.match(
      out,
      /^Done: 3 steps, 192 samples in 1m 15s, loss 1\.000\.\n\n +score .*\nval\n +recall@1 +25\.0 % +20\.0 – 30\.0 +50\n/,
    );
  });

  test("on a terminal, messages stand above the bar", async () => {
    const { err } = await run(all, words, true);
    assert(err.includes("\r\x1b[K  ! The data are slow.\n\r"), JSON.stringify(err));
  });

  test("--json gives one event a line", async () => {
    const { out, err } = await run(all, [...words, "--json"]);
    const events = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).event);
    assert.deepEqual(events, ["start", "step", "step", "step", "message", "evaluation", "end"]);
    assert.equal(err, "");
  });

  test("--print-config gives a recipe that can be used as one", async () => {
    const { out, code } = await run(all, [...words, "--print-config"]);
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).steps, 3);
  });

  test("a fault in the recipe is one line and 2", async () => {
    const { code, err } = await run(all, [...words, "--epochs", "2"]);
    assert.match(err, /^clipwright: --steps: the length must be given once; .*\n$/);
    assert.equal(code, 2);
  });

  test("a setting of the command line is told as it is spelled there, and one of a file as it is spelled in the file", async () => {
    const { err } = await run(all, [...words, "--batch-size", "0"]);
    assert.equal(err, "clipwright: --batch-size: must be an integer from 2; got --batch-size=0.\n");
    const file = join(mkdtempSync(join(tmpdir(), "recipe-")), "small.json");
    writeFileSync(file, '{ "model": "clipwright-nano-32", "trainData": "x", "steps": 1, "batchSize": 0 }');
    const other = await run(all, ["train", file, "--lr", "1"]);
    assert.match(other.err, /batchSize: must be an integer from 2; got batchSize=0/);
    rmSync(dirname(file), { recursive: true });
  });

  test("Ctrl-C lets the trainer save, and is 130", async () => {
    const interrupted: TrainFunction = async (given, hooks) => {
      process.emit("SIGINT");
      return trainer(given, hooks);
    };
    const { code, out, err } = await run([makeTrainCommand(async () => interrupted)], words);
    assert.match(err, /Stopping after this step/);
    assert.match(out, /^Stopped, saved; the same command continues: 3 steps/);
    assert.equal(code, 130);
    assert.equal(process.listenerCount("SIGINT"), 0);
  });
});

suite("clipwright inspect", () => {
  const folder = scratchFolder();
  test("describes a folder for people and for scripts", async () => {
    for (const i of [0, 1, 2]) {
      put(folder, `pairs/${i}.png`, await pngOf(i));
      put(folder, `pairs/${i}.txt`, `picture ${i}\nthe same again`);
    }
    put(folder, "pairs/broken.png", "no picture");
    put(folder, "pairs/broken.txt", "a broken one");
    const { out, code } = await run([inspectCommand], ["inspect", `${folder}/pairs`]);
    assert.equal(code, 0);
    assert.match(out, /unreadable image/);
    const json = JSON.parse((await run([inspectCommand], ["inspect", `${folder}/pairs`, "--json"])).out);
    assert.equal(json.samples, 4);
    assert.equal(json.usable, 3);
    assert.equal(json.captions, 7);
    assert.equal(json.dropCounts["unreadable image"], 1);
  });
  test("captions and names cannot command a terminal", async () => {
    put(folder, "wild/a.png", await pngOf(1));
    put(folder, "wild/a.txt", "a \u001b[2Jcaption \u202ebackwards");
    const { out } = await run([inspectCommand], ["inspect", `${folder}/wild`]);
    assert.match(out, /“a \\x1b\[2Jcaption \\u202ebackwards”/);
  });

  test("nothing usable is 1", async () => {
    put(folder, "bad/0.png", "no picture");
    put(folder, "bad/0.txt", "words");
    assert.equal((await run([inspectCommand], ["inspect", `${folder}/bad`])).code, 1);
  });
});

suite("scoreLines", () => {
  const retrieval = (["text", "image"] as const).flatMap((way) =>
    [1, 5, 10].map((k) => ({
      dataset: "pairs held out",
      split: "val",
      task: "zeroshot_retrieval",
      metric: `${way}_retrieval_recall@${k}`,
      value: k / 40,
      low: k / 50,
      high: k / 30,
      n: 100,
    })),
  );
  const loss = { ...retrieval[0]!, task: "contrastive", metric: "val_loss", value: 2.5, low: 2.4, high: 2.6 };
  const rank = { ...retrieval[0]!, metric: "text_retrieval_median_rank", value: 12, low: 10, high: 14 };
  const all = [...retrieval, rank, loss];

  test("puts a data set on one line where it fits, with intervals as far as there is room", () => {
    assert.deepEqual(scoreLines(all, 200), [
      "val  loss 2.50 (2.40–2.60) │ image→text  R@1 2.5 % (2.0–3.3)  R@5 12.5 % (10.0–16.7)  R@10 25.0 % (20.0–33.3) │ text→image  R@1 2.5 % (2.0–3.3)  R@5 12.5 % (10.0–16.7)  R@10 25.0 % (20.0–33.3)",
    ]);
    assert.deepEqual(scoreLines(all, 130), [
      "val  loss 2.50 │ image→text  R@1 2.5 %  R@5 12.5 %  R@10 25.0 % │ text→image  R@1 2.5 %  R@5 12.5 %  R@10 25.0 %",
    ]);
  });

  test("says which scores are not distinguishable from guessing", () => {
    const [first] = retrieval;
    assert.deepEqual(scoreLines([{ ...first!, chance: 0.03 }], 80), [
      "val  image→text  R@1 2.5 % ≈ chance (2.0–3.3)",
    ]);
    assert.deepEqual(scoreLines([{ ...first!, chance: 0.01 }], 80), ["val  image→text  R@1 2.5 % (2.0–3.3)"]);
  });

  test("puts a group on each line where it does not", () => {
    const atStep = all.map((score) => ({ ...score, step: 7 }));
    assert.deepEqual(scoreLines(atStep, 80, 1.25), [
      "step 7  val  loss 2.50, in training 1.25",
      "             image→text  R@1 2.5 %  R@5 12.5 %  R@10 25.0 %",
      "             text→image  R@1 2.5 %  R@5 12.5 %  R@10 25.0 %",
    ]);
  });
});
