import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { UsageError } from "../src/core/errors.js";
import { ReviewLog, readReviewLog } from "../src/curate/review/log/log.js";
import { isConflict, Standing } from "../src/curate/review/log/standing.js";
import {
  type Answer,
  entityKey,
  makeVerdict,
  type PairId,
  type Verdict,
  verdictLine,
  verdictOfLine,
} from "../src/curate/review/log/verdict.js";
import { scratchFolder } from "./data.helpers.js";

const pair = (key: string): PairId => ({ source: "photos", key, captionIndex: 0, uid: null });

const said = (key: string, answer: Answer, more: Partial<Verdict> = {}): Verdict =>
  makeVerdict({
    item: pair(key),
    question: "pair",
    answer,
    reviewer: "Ada",
    tool: "clipwright 0.1.0",
    ...more,
  });

const writer = fileURLToPath(new URL("./support/review-writer.js", import.meta.url));
const writing = (log: string, ...words: (string | number)[]): ChildProcess =>
  spawn(process.execPath, [writer, log, ...words.map(String)], { stdio: ["ignore", "pipe", "inherit"] });

/** All that a process says until its end. */
async function heard({ stdout }: ChildProcess): Promise<string> {
  let text = "";
  for await (const piece of stdout!) text += String(piece);
  return text;
}

suite("a verdict's line", () => {
  test("holds what tables call a pair, and reads back as it was", () => {
    const verdict = said('a"b\n{"v":1,.jpg', "keep", {
      correctedCaption: "line\nbreak </script> \u2028 ü",
      shownScores: { clip_score: 0.25 },
      drawn: "audit",
      repeat: true,
    });
    const line = verdictLine(verdict);
    assert.ok(!line.includes("\n"));
    assert.deepEqual(verdictOfLine(line), verdict);
    const { source, caption_index, uid, question, reviewer, tool_version, shown_scores } = JSON.parse(line);
    assert.deepEqual(
      { source, caption_index, uid, question, reviewer, tool_version, shown_scores },
      {
        source: "photos",
        caption_index: 0,
        uid: null,
        question: "pair",
        reviewer: "Ada",
        tool_version: "clipwright 0.1.0",
        shown_scores: { clip_score: 0.25 },
      },
    );
  });

  test("two that may be copies are one entity, whichever comes first", () => {
    const copies = { question: "duplicate", answer: "same", other: pair("b") } as const;
    const one = said("a", "same", copies);
    const other = said("b", "same", { ...copies, other: pair("a") });
    assert.equal(entityKey(one), entityKey(other));
    assert.deepEqual([other.item.key, other.other?.key], ["a", "b"]);
    assert.deepEqual(verdictOfLine(verdictLine(one)), one);
    assert.notEqual(entityKey(one), entityKey(said("a", "keep")));
  });

  test("that says what its question cannot be answered by is none", () => {
    const line = JSON.parse(verdictLine(said("a", "keep"))) as object;
    for (const wrong of [
      { verdict: "same" },
      { question: "duplicate" },
      { reviewer: "" },
      { reviewer: "A\u0007" },
      { caption_index: -1 },
      { time: "yesterday" },
      { v: 2 },
    ]) {
      assert.equal(verdictOfLine(JSON.stringify({ ...line, ...wrong })), undefined, JSON.stringify(wrong));
    }
  });
});

suite("ReviewLog", () => {
  const folder = scratchFolder();

  test("torn at any byte of its last line, loses at most that line, and the next is whole", () => {
    const first = said("1.jpg", "keep");
    const torn = said("2.jpg", "drop", { correctedCaption: "ü" });
    const next = said("3.jpg", "keep");
    const head = `${verdictLine(first)}\n`;
    const all = Buffer.from(`${head}${verdictLine(torn)}`);
    for (let length = head.length; length <= all.length; length += 3) {
      const path = join(folder, `torn-${length}.jsonl`);
      writeFileSync(path, all);
      truncateSync(path, length);
      using log = new ReviewLog(path);
      log.append(next);
      const whole = length === all.length;
      const { verdicts, damaged } = log.read();
      assert.deepEqual(verdicts, whole ? [first, torn, next] : [first, next], `cut at ${length}`);
      assert.deepEqual(damaged, whole || length === head.length ? [] : [2]);
    }
  });

  test("finds the line that came behind a torn one at the very moment of the crash", () => {
    const path = join(folder, "glued.jsonl");
    const [a, b] = [said("a", "keep"), said("b", "drop")];
    writeFileSync(path, `${verdictLine(a).slice(0, 40)}${verdictLine(b)}\n`);
    assert.deepEqual(readReviewLog(path), { verdicts: [b], damaged: [1] });
  });

  test("gives what is new since the last time, also what others wrote, and half a line when it is whole", () => {
    const path = join(folder, "follow.jsonl");
    using log = new ReviewLog(path);
    const [a, b, c] = [said("a", "keep"), said("b", "drop"), said("c", "keep")];
    log.append(a);
    assert.deepEqual(log.read().verdicts, [a]);
    const line = verdictLine(b);
    appendFileSync(path, line.slice(0, 50));
    assert.deepEqual(log.read(), { verdicts: [], damaged: [] });
    appendFileSync(path, line.slice(50));
    assert.deepEqual(log.read().verdicts, [b]);
    log.append(c);
    appendFileSync(path, "not ours\n");
    assert.deepEqual(log.read(), { verdicts: [c], damaged: [4] });
    truncateSync(path, 10);
    assert.throws(() => log.read(), /a log only grows; it became shorter/);
  });

  test("takes thousands of lines from two processes at once, each whole", async () => {
    const path = join(folder, "two.jsonl");
    const told = await Promise.all(["Ada", "Ben"].map((name) => heard(writing(path, name, 3000, 50))));
    const { verdicts, damaged } = readReviewLog(path);
    assert.deepEqual(damaged, []);
    for (const [w, name] of ["Ada", "Ben"].entries()) {
      const own = verdicts.filter(({ reviewer }) => reviewer === name);
      // In the order in which each wrote them.
      assert.deepEqual(own.map(({ id }) => id).join("\n"), told[w]!.trim());
      assert.equal(own.length, 3000);
    }
  });

  test("has every line that a killed writer had told of, while another goes on", async () => {
    const path = join(folder, "killed.jsonl");
    const steady = writing(path, "steady", 600, 5);
    const ended = heard(steady);
    const told: string[] = [];
    for (let kill = 0; kill < 4; kill++) {
      const victim = writing(path, "victim", 100_000, 3);
      const words = heard(victim);
      await once(victim.stdout!, "data");
      victim.kill("SIGKILL");
      told.push(...(await words).split("\n").slice(0, -1));
    }
    told.push(...(await ended).trim().split("\n"));
    using log = new ReviewLog(path);
    const last = said("after", "keep");
    log.append(last);
    const { verdicts } = log.read();
    const written = new Set(verdicts.map(({ id }) => id));
    assert.equal(verdicts.at(-1)!.id, last.id);
    assert.deepEqual(
      told.filter((id) => !written.has(id)),
      [],
    );
    assert.equal(verdicts.filter(({ reviewer }) => reviewer === "steady").length, 600);
    assert.ok(readFileSync(path, "utf8").endsWith("\n"));
  });

  test("says what is wrong with a place that cannot hold it", () => {
    assert.throws(() => new ReviewLog(join(folder, "missing", "log.jsonl")), UsageError);
    assert.throws(() => new ReviewLog(folder), /EISDIR|must be a file/);
    assert.throws(() => readReviewLog(join(folder, "none.jsonl")), /no such file/);
  });
});

suite("Standing", () => {
  const entity = entityKey(said("a", "keep"));
  const answers = (standing: Standing) =>
    [...standing.opinions(entity)].map(([name, { answer }]) => `${name} ${answer}`);

  test("of each reviewer the later line wins; undecided takes it back", () => {
    const standing = new Standing([said("a", "keep"), said("a", "drop", { reviewer: "Ben" })]);
    assert.deepEqual(answers(standing), ["Ada keep", "Ben drop"]);
    assert.ok(isConflict(standing.opinions(entity)));
    standing.add(said("a", "drop"));
    assert.deepEqual(answers(standing), ["Ben drop", "Ada drop"]);
    assert.ok(!isConflict(standing.opinions(entity)));
    standing.add(said("a", "undecided", { reviewer: "Ben" }));
    standing.add(said("a", "undecided"));
    assert.deepEqual([...standing.all()], []);
  });

  test("remembers the first answer to a question that is asked twice, and returns to it", () => {
    const standing = new Standing([said("a", "keep"), said("a", "drop", { repeat: true })]);
    assert.deepEqual(answers(standing), ["Ada drop"]);
    assert.deepEqual(
      [...standing.repeats()].map(([first, again]) => [first.answer, again.answer]),
      [["keep", "drop"]],
    );
    standing.add(said("a", "undecided", { repeat: true }));
    assert.deepEqual(answers(standing), ["Ada keep"]);
    assert.deepEqual([...standing.repeats()], []);
  });

  test("another caption is a conflict, the same with blanks around it is none", () => {
    const kept = (reviewer: string, correctedCaption: string) =>
      said("a", "keep", { reviewer, correctedCaption });
    const opinions = (...verdicts: Verdict[]) => new Standing(verdicts).opinions(entity);
    assert.ok(isConflict(opinions(kept("Ada", "a dog"), kept("Ben", "a cat"))));
    assert.ok(!isConflict(opinions(kept("Ada", "a dog"), kept("Ben", " a dog "))));
    assert.ok(isConflict(opinions(kept("Ada", "a dog"), said("a", "keep", { reviewer: "Ben" }))));
  });
});
