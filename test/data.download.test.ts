import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { DownloadLimits } from "../src/core/download/download.js";
import { download } from "../src/data/sources/download.js";
import { put, scratchFolder, tarOf } from "./data.helpers.js";

const folder = scratchFolder();
const tar = tarOf([["a.txt", "x".repeat(5000)]]);
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** What the server does with the next requests, the last answer for ever. */
let answers: Answer[] = [];
let seen: IncomingMessage[] = [];
const server = createServer((request, response) => {
  seen.push(request);
  (answers.length > 1 ? answers.shift()! : answers[0]!)(request, response);
});
before(() => once(server.listen(0, "127.0.0.1"), "listening"));
after(() => {
  server.closeAllConnections();
  server.close();
});

let caches = 0;
/** Downloads `name` into a cache of its own; gives its path, what was told, and how to ask again. */
function fetching(name: string, limits: Partial<DownloadLimits> = {}) {
  const cacheDir = join(folder, `cache-${caches++}`);
  const told: string[] = [];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`;
  const options = { cacheDir, onProgress: (line: string) => void told.push(line) };
  seen = [];
  const kept = (): string[] =>
    existsSync(cacheDir) ? readdirSync(cacheDir, { recursive: true, encoding: "utf8" }) : [];
  return { get: () => download(url, options, { waitMs: 1, ...limits }), told, kept };
}
const send =
  (bytes: Uint8Array, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(200, { "content-length": String(bytes.length), ...headers });
    response.end(bytes);
  };
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(code, headers);
    response.end();
  };
/** Half of the tar, and then the connection ends. */
const breakOff: Answer = (_, response) => {
  response.writeHead(200, { "content-length": String(tar.length) });
  response.write(tar.subarray(0, tar.length / 2), () => response.destroy());
};
/** Half of the tar, and then nothing. */
const stall: Answer = (_, response) => {
  response.writeHead(200, { "content-length": String(tar.length) });
  response.write(tar.subarray(0, tar.length / 2));
};

describe("download", () => {
  test("keeps a whole file, and does not ask again where nothing could tell a change", async () => {
    answers = [send(tar)];
    const { get, kept } = fetching("a.tar", { freshMs: 0 });
    assert.deepEqual(readFileSync(await get()), tar);
    await get();
    assert.equal(seen.length, 1);
    assert.deepEqual(
      kept().filter((name) => name.endsWith(".partial")),
      [],
    );
  });

  test("asks after a kept file by its ETag, and fetches it anew when it changed", async () => {
    const other = tarOf([["b.txt", "y"]]);
    answers = [send(tar, { etag: '"1"' }), status(304), send(other, { etag: '"2"' })];
    const { get } = fetching("a.tar", { freshMs: 0 });
    const path = await get();
    assert.deepEqual(readFileSync(await get()), tar);
    assert.equal(seen[1]!.headers["if-none-match"], '"1"');
    assert.deepEqual(readFileSync(await get()), other);
    assert.equal(seen.length, 3);
    answers = [status(500)];
    assert.equal(await get(), path, "a server in trouble leaves the copy of before");
  });

  test("does not ask after a file that was asked for within the hour", async () => {
    answers = [send(tar, { etag: '"1"' })];
    const { get } = fetching("a.tar");
    await get();
    await get();
    assert.equal(seen.length, 1);
  });

  test("tries again after 503, 429 and a transfer that broke off or stopped, and says so", async () => {
    answers = [status(503), status(429, { "retry-after": "0" }), breakOff, stall, send(tar)];
    const { get, told } = fetching("a.tar", { idleMs: 300 });
    assert.deepEqual(readFileSync(await get()), tar);
    assert.equal(seen.length, 5);
    const again = told.filter((line) => line.includes("trying again"));
    for (const [i, why] of [/status 503/, /status 429/, /broke off/, /nothing came for 0\.3 s/].entries())
      assert.match(again[i]!, why);
  });

  test("gives up at last, and keeps nothing", async () => {
    for (const [answer, why] of [
      [status(500), /a\.tar: failed after 3 tries; got status 500/],
      [breakOff, /a\.tar: failed after 3 tries; the transfer broke off/],
    ] as const) {
      answers = [answer];
      const { get, kept } = fetching("a.tar", { retries: 2 });
      await assert.rejects(get(), { name: "UsageError", message: why });
      assert.ok(!kept().some((name) => /\.tar/.test(name)), kept().join());
      answers = [send(tar)];
      assert.deepEqual(readFileSync(await get()), tar);
    }
  });

  test("does not try again what will not pass", async () => {
    answers = [status(403)];
    const { get } = fetching("a.tar");
    await assert.rejects(get(), /got status 403 Forbidden\. Check the address/);
    assert.equal(seen.length, 1);
  });

  test("refuses a page in place of a tar, and fetches it on the next try", async () => {
    const page = Buffer.from(`<html>${"log in ".repeat(200)}</html>`);
    for (const headers of [{ "content-type": "text/html; charset=utf-8" }, {}] as Record<string, string>[]) {
      answers = [send(page, headers), send(tar)];
      const { get } = fetching("a.tar");
      await assert.rejects(get(), /must be data; got a web page|is not a tar file/);
      assert.deepEqual(readFileSync(await get()), tar);
    }
  });

  test("of a length that nobody tells, takes only what has an end of its own", async () => {
    const close = (bytes: Uint8Array): Answer => {
      return (_, response) => {
        response.useChunkedEncodingByDefault = false;
        response.writeHead(200, { connection: "close" });
        response.end(bytes);
      };
    };
    answers = [close(tar)];
    assert.deepEqual(readFileSync(await fetching("a.tar").get()), tar);
    answers = [close(tar.subarray(0, 3072))];
    await assert.rejects(fetching("a.tar").get(), /does not say how long it is, and the tar is cut short/);
    answers = [close(Buffer.from("a,b\n"))];
    await assert.rejects(fetching("a.csv").get(), /does not say how long it is/);
  });

  test("takes pieces of a chunked answer for whole only with its end", async () => {
    const chunks =
      (end: boolean): Answer =>
      (_, response) => {
        response.writeHead(200);
        response.write(tar, () => (end ? response.end() : response.destroy()));
      };
    answers = [chunks(false), chunks(true)];
    assert.deepEqual(readFileSync(await fetching("a.tar").get()), tar);
    assert.equal(seen.length, 2);
  });

  test("has limits of size and of time", async () => {
    answers = [send(tar)];
    await assert.rejects(fetching("a.tar", { bytes: 4000 }).get(), /at most 4000 bytes; got \d+/);
    answers = [
      (_, response) => {
        response.writeHead(200);
        response.end(tar);
      },
    ];
    await assert.rejects(fetching("a.tar", { bytes: 4000 }).get(), /at most 4000 bytes; got \d+/);
    const drip: Answer = (_, response) => {
      response.writeHead(200, { "content-length": "1000000" });
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
    };
    answers = [drip];
    await assert.rejects(
      fetching("a.csv", { totalMs: 300, retries: 0 }).get(),
      /failed; it took more than 0\.3 s\. Run it again later/,
    );
  });

  test("removes what a killed process left, and leaves what another is writing", async () => {
    answers = [send(tar, { etag: '"1"' })];
    const { get } = fetching("a.tar", { freshMs: 0 });
    const path = await get();
    const [old, fresh] = [`${path}.1.partial`, `${path}.2.partial`];
    for (const partial of [old, fresh]) writeFileSync(partial, "half");
    utimesSync(old, 1000, 1000);
    await get();
    assert.deepEqual([existsSync(old), existsSync(fresh)], [false, true]);
    assert.equal(dirname(old), dirname(path));
  });

  test("says in one line what is no address, and where nothing can be written", async () => {
    await assert.rejects(download("http://[::1/x.tar", {}), /is no web address/);
    answers = [send(tar)];
    const file = put(folder, "file", "");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.tar`;
    await assert.rejects(download(url, { cacheDir: file }), /cannot write .*\(ENOTDIR\)/);
  });
});
