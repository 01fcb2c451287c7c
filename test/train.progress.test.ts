import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { StepReport } from "../src/train/hooks.js";
import {
  formatBytes,
  formatClock,
  Progress,
  renderBar,
  renderPlain,
  type View,
} from "../src/train/watch/progress.js";

const view: View = {
  step: 1200,
  totalSteps: 5000,
  loss: 2.3144,
  samplesPerSecond: 511.7,
  dataWaitShare: 0.034,
  memoryBytes: 1.23e9,
  secondsLeft: 250,
};

const report = (step: number, more: Partial<StepReport> = {}): StepReport => ({
  step,
  totalSteps: 100,
  samplesSeen: step * 64,
  loss: 2,
  lr: 1e-3,
  logitScale: 14,
  gradNorm: 1,
  stepSeconds: 0.5,
  dataSeconds: 0.1,
  duplicateCaptionShare: 0,
  ...more,
});

/** A progress on a screen that is kept, with a clock that the test moves. */
function onScreen(interactive: boolean, budgetSeconds?: number) {
  let written = "";
  const write = (text: string) => {
    written += text;
  };
  const clock = { ms: 0 };
  const progress = new Progress({
    screen: { write, interactive, columns: 100, color: false },
    batchSize: 64,
    budgetSeconds,
    now: () => clock.ms,
    memory: () => 5e8,
  });
  return { progress, clock, written: () => written };
}

suite("renderBar", () => {
  test("shows share, bar, and the facts", () => {
    assert.equal(
      renderBar(view, 140, false),
      " 24% ━━━━━───────────────────  step 1200/5000  loss 2.314  512 samples/s  4m 10s left  data wait 3%  memory 1.2 GB",
    );
  });

  test("never exceeds the width, and keeps loss and time where there is little room", () => {
    for (let columns = 30; columns < 160; columns++) assert(renderBar(view, columns, false).length < columns);
    assert.match(renderBar(view, 80, false), /loss 2\.314 .*4m 10s left$/);
  });

  test("colour adds no width", () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal escapes are what is looked for
    const plain = renderBar(view, 90, true).replace(/\x1b\[\d+m/g, "");
    assert.equal(plain.length, renderBar(view, 90, false).length);
  });

  test("a run without a length yet has no share", () => {
    assert.match(renderBar({ ...view, totalSteps: undefined }, 120, false), /^ {2}… ─+ {2}step 1200 {2}/);
  });
});

suite("Progress", () => {
  test("on a terminal, redraws one line, at most ten times a second", () => {
    const { progress, clock, written } = onScreen(true);
    for (let step = 1; step <= 99; step++) {
      progress.step(report(step));
      clock.ms += 20;
    }
    assert.equal(written().includes("\n"), false);
    assert.equal(written().split("\r").length - 1, 20);
    progress.step(report(100));
    progress.finish();
    assert.match(written(), /100% .*step 100\/100.*128 samples\/s {2}data wait 20%.*\n$/);
  });

  test("a message stands above the line", () => {
    const { progress, written } = onScreen(true);
    progress.step(report(1));
    progress.message("hello");
    assert(written().includes("\r\x1b[Khello\n\r  1% "), JSON.stringify(written()));
  });

  test("elsewhere, prints plain lines now and then, the last included, without escapes", () => {
    const { progress, clock, written } = onScreen(false);
    for (let step = 1; step <= 100; step++) {
      progress.step(report(step));
      clock.ms += 500;
    }
    progress.finish();
    const lines = written().trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => /step (\d+)/.exec(line)?.[1]),
      ["1", "31", "61", "91", "100"],
    );
    assert.equal(written().includes("\x1b"), false);
    assert.equal(lines[1], "step 31/100  loss 2.000  128 samples/s  35s left  data wait 20%  memory 500 MB");
  });

  test("the first step, which compiles, does not count for speed", () => {
    const { progress, clock, written } = onScreen(false);
    progress.step(report(1, { stepSeconds: 60, dataSeconds: 50 }));
    clock.ms = 20_000;
    progress.step(report(2));
    assert.match(written().trimEnd().split("\n").at(-1)!, /128 samples\/s {2}49s left {2}data wait 20%/);
  });

  test("while a time-limited run is measured, the time left is that of the budget", () => {
    const { progress, clock, written } = onScreen(false, 300);
    clock.ms = 60_000;
    progress.step(report(5, { totalSteps: undefined }));
    assert.match(written(), /4m 00s left/);
  });
});

suite("formatClock", () => {
  test("two units at most", () => {
    assert.deepEqual([9.4, 250, 7500, 273_600].map(formatClock), ["9s", "4m 10s", "2h 05m", "3d 04h"]);
  });
  test("bytes in powers of ten", () =>
    assert.deepEqual([5.12e8, 1.23e9].map(formatBytes), ["512 MB", "1.2 GB"]));
  test("a plain line holds every fact", () => assert.equal(renderPlain(view).split("  ").length, 6));
});
