/** One writer per run folder, whoever was killed, on this machine or another. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { realDisk } from "../src/core/disk.js";
import { UsageError } from "../src/core/errors.js";
import { fenced, LEASE_MS, LeasedElsewhere, takeLock, whenLeaseEnds } from "../src/storage/lock.js";

/** Rounds in which six processes meet a stale lock; `CLIPWRIGHT_LOCK_ROUNDS=760` for more. */
const ROUNDS = Number(process.env.CLIPWRIGHT_LOCK_ROUNDS ?? 12);
const PROCESSES = 6;

const root = mkdtempSync(join(tmpdir(), "locks-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;
function newFolder(): string {
  const folder = join(root, `run-${count++}`);
  mkdirSync(folder);
  return folder;
}
const take = (folder: string) => takeLock(realDisk, folder);
const locksIn = (folder: string) => readdirSync(folder).filter((name) => name.includes("lock"));
/** A lock as this process writes it. */
const own = (() => {
  using lock = take(newFolder());
  return JSON.parse(readFileSync(lock.path, "utf8")) as Readonly<Record<string, unknown>>;
})();
/** Puts the lock of a holder into `folder` that is this process but for `more`, and has the next number. */
function holder(folder: string, more: Readonly<Record<string, unknown>>, ageMs = 0): string {
  const numbers = locksIn(folder).map((name) => Number(/\d+/.exec(name)?.[0]));
  const path = join(folder, `lock-${Math.max(0, ...numbers) + 1}.json`);
  writeFileSync(`${path}.tmp`, JSON.stringify({ ...own, ...more }));
  const then = (Date.now() - ageMs) / 1000;
  utimesSync(`${path}.tmp`, then, then);
  renameSync(`${path}.tmp`, path);
  return path;
}
const deadProcess = () => spawnSync(process.execPath, ["-e", ""]).pid;

suite("takeLock", () => {
  test("one writer at a time; closing lets go, and numbers are never given twice", () => {
    const folder = newFolder();
    {
      using first = take(folder);
      assert.equal(first.path, join(folder, "lock-1.json"));
      assert.throws(
        () => take(folder),
        new RegExp(`another process writes to it; got process ${process.pid} since`),
      );
    }
    assert.deepEqual(locksIn(folder), [".lock-1.free"]);
    using second = take(folder);
    assert.deepEqual(locksIn(folder), ["lock-2.json"]);
    second.check();
  });

  test("that of a process which has ended is taken over at once, and its drafts are removed", () => {
    const folder = newFolder();
    const pid = deadProcess();
    holder(folder, { pid });
    writeFileSync(join(folder, `.lock-draft-${pid}-x`), "{");
    using lock = take(folder);
    assert.equal(lock.path, join(folder, "lock-2.json"));
    assert.deepEqual(locksIn(folder), ["lock-2.json"]);
  });

  test("so is that of an earlier process with the same number", () => {
    if (own.born === undefined) return assert.equal(existsSync("/proc/self/stat"), false);
    const folder = newFolder();
    holder(folder, { born: "1" });
    take(folder)[Symbol.dispose]();
  });

  for (const [what, more] of [
    ["another machine", { host: "elsewhere", pid: 1 }],
    ["another space of processes with this host's name", { machine: "other", pid: 1 }],
  ] as const) {
    test(`that of ${what} is left while its lease is renewed, and taken over after`, () => {
      const folder = newFolder();
      holder(folder, more);
      assert.throws(
        () => take(folder),
        (error) =>
          error instanceof LeasedElsewhere &&
          error.leftMs > LEASE_MS / 2 &&
          new RegExp(
            `process 1 on ${"host" in more ? "elsewhere" : hostname()} since .*the run is free 60 s after`,
          ).test(error.message),
      );
      holder(folder, more, LEASE_MS + 1000);
      take(folder)[Symbol.dispose]();
    });
  }

  test("one that cannot be read is left for a lease's time", () => {
    const folder = newFolder();
    const path = holder(folder, {});
    writeFileSync(path, "");
    assert.throws(() => take(folder), /a lock that cannot be read/);
    utimesSync(path, 0, 0);
    take(folder)[Symbol.dispose]();
  });

  test("whoever lost it finds out before it writes, and does not let go of another's", () => {
    const folder = newFolder();
    using first = take(folder);
    const disk = fenced(realDisk, first);
    disk.writeNew(join(folder, "a"), "mine");
    const other = holder(folder, { host: "elsewhere", pid: 7 });
    for (const change of [
      () => disk.writeNew(join(folder, "a"), "late"),
      () => disk.append(join(folder, "a"), "late"),
      () => disk.remove(join(folder, "a")),
      () => disk.rename(join(folder, "a"), join(folder, "b")),
    ])
      assert.throws(
        change,
        (error) =>
          error instanceof UsageError && /taken it over; got process 7 on elsewhere/.test(error.message),
      );
    assert.equal(readFileSync(join(folder, "a"), "utf8"), "mine");
    first[Symbol.dispose]();
    assert.match(readFileSync(other, "utf8"), /elsewhere/);
  });

  test("is renewed while the process lives, however busy it is", async () => {
    const folder = newFolder();
    const module = JSON.stringify(new URL("../src/storage/lock.js", import.meta.url).href);
    const disk = JSON.stringify(new URL("../src/core/disk.js", import.meta.url).href);
    const program = `
      import { takeLock } from ${module};
      import { realDisk } from ${disk};
      takeLock(realDisk, ${JSON.stringify(folder)}, { renewMs: 100 });
      setTimeout(() => { console.log("busy"); for (;;); }, 1300);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const path = join(folder, "lock-1.json");
    utimesSync(path, 1, 1);
    while (statSync(path).mtimeMs < 10_000) await delay(20);
    assert.match(readFileSync(path, "utf8"), /^\{"pid"/);
    child.kill("SIGKILL");
    await once(child, "exit");
    take(folder)[Symbol.dispose]();
  });
});

suite("whenLeaseEnds", () => {
  const LEASE = 300;
  test("waits for a holder on another machine that does not come back", async () => {
    const folder = newFolder();
    // A clock that is ahead: its age says nothing, that it stays as it is does.
    holder(folder, { host: "elsewhere" }, -3_600_000);
    const said: string[] = [];
    const lock = await whenLeaseEnds(
      (gone) => takeLock(realDisk, folder, { gone, leaseMs: LEASE }),
      (line) => said.push(line),
      LEASE,
    );
    assert.deepEqual(locksIn(folder), ["lock-2.json"]);
    assert.match(said.join(), /^Waits 1 s: .*lock-1\.json is of another machine\.$/);
    lock[Symbol.dispose]();
  });

  test("refuses as soon as it is renewed", async () => {
    const folder = newFolder();
    const path = holder(folder, { host: "elsewhere" }, -3_600_000);
    setTimeout(() => utimesSync(path, new Date(), new Date(Date.now() + 7_200_000)), 50);
    await assert.rejects(
      whenLeaseEnds(
        (gone) => takeLock(realDisk, folder, { gone, leaseMs: LEASE }),
        () => {},
        LEASE,
      ),
      LeasedElsewhere,
    );
  });
});

test(`${PROCESSES} processes meet a stale lock ${ROUNDS} times: one holds it at any time`, async () => {
  const folder = newFolder();
  const stage = newFolder();
  const url = (file: string) => JSON.stringify(new URL(`../src/${file}`, import.meta.url).href);
  const pid = deadProcess();
  // Each takes the lock when the round's file appears; the holder makes a file that only one can make at a time.
  const program = `
    import { existsSync, openSync, closeSync, rmSync, writeFileSync } from "node:fs";
    import { takeLock } from ${url("storage/lock.js")};
    import { realDisk } from ${url("core/disk.js")};
    import { UsageError } from ${url("core/errors.js")};
    const folder = ${JSON.stringify(folder)}, stage = ${JSON.stringify(stage)}, me = process.argv[1];
    const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    for (let round = 0; round < ${ROUNDS}; round++) {
      while (!existsSync(stage + "/go-" + round)) pause(1);
      let outcome = "refused";
      try {
        const lock = takeLock(realDisk, folder);
        try {
          closeSync(openSync(stage + "/held", "wx"));
          outcome = "held";
          pause(Math.random() * 8);
          rmSync(stage + "/held");
        } catch (error) {
          outcome = "two holders: " + error.message;
        }
        // Half of the rounds let go, as a run that is over; the others stay, as one that was killed.
        if (round % 2 === 0) lock[Symbol.dispose]();
        else outcome += " " + lock.path;
      } catch (error) {
        if (!(error instanceof UsageError)) outcome = error.stack;
      }
      writeFileSync(stage + "/did-" + round + "-" + me + ".tmp", outcome);
      (await import("node:fs")).renameSync(stage + "/did-" + round + "-" + me + ".tmp", stage + "/did-" + round + "-" + me);
    }`;
  const children = Array.from({ length: PROCESSES }, (_, i) =>
    spawn(process.execPath, ["--input-type=module", "-e", program, String(i)], {
      stdio: ["ignore", "inherit", "inherit"],
    }),
  );
  const ended = Promise.all(children.map((child) => once(child, "exit")));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      holder(folder, { pid });
      writeFileSync(join(stage, `go-${round}`), "");
      const files = children.map((_, i) => join(stage, `did-${round}-${i}`));
      while (!files.every((file) => existsSync(file))) await delay(2);
      const outcomes = files.map((file) => readFileSync(file, "utf8"));
      const held = outcomes.filter((text) => text.startsWith("held"));
      const other = outcomes.filter((text) => !/^(held|refused)/.test(text));
      assert.deepEqual(other, [], `round ${round}`);
      // One that lets go may be followed by another.
      assert.ok(round % 2 === 0 ? held.length >= 1 : held.length === 1, `round ${round}: ${outcomes}`);
    }
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await ended;
  }
});
