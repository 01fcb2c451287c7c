import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, suite, test } from "node:test";
import { readMap } from "../src/serve/search/layout.js";
import { scratchFolder } from "./data.helpers.js";
import { servedPictures } from "./support/served.js";

suite("servePictures", () => {
  let served: Awaited<ReturnType<typeof servedPictures>>;
  const folder = scratchFolder();
  before(async () => {
    served = await servedPictures(folder, { count: 20 });
  });
  after(() => served[Symbol.asyncDispose]());

  /** A request with whatever path and headers, as no browser would send it. */
  const ask = (
    path: string,
    {
      method = "GET",
      headers = {},
      body,
    }: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array } = {},
  ) =>
    new Promise<{ status: number; body: Buffer; type: string }>((resolve, reject) => {
      const sent = request(
        { host: "127.0.0.1", port: served.server.port, path, method, headers, agent: false },
        (answer) => {
          const pieces: Buffer[] = [];
          answer.on("data", (piece: Buffer) => pieces.push(piece));
          answer.on("end", () =>
            resolve({
              status: answer.statusCode!,
              body: Buffer.concat(pieces),
              type: String(answer.headers["content-type"]),
            }),
          );
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  const post = (path: string, value: unknown) =>
    ask(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(value),
    });

  test("sends the page, thumbnails by row and nothing else of the disk", async () => {
    const page = await ask("/");
    assert.equal(page.status, 200);
    assert.match(page.body.toString(), /<title>seeds &#38; co<\/title>/);
    const picture = await ask("/thumbnail/3");
    assert.deepEqual([picture.status, picture.type], [200, "image/webp"]);
    assert.deepEqual(new Uint8Array(picture.body), served.index.thumbnail(3));
    for (const path of [
      "/thumbnail/20",
      "/thumbnail/-1",
      "/thumbnail/../../index.json",
      "/thumbnail/%2e%2e%2findex.json",
      "/index.json",
      "/script/core/errors.js",
      "/script/serve/page/../server/app.js",
      "/script/serve/page/..%2fserver%2fapp.js",
      "/api/name/20",
    ]) {
      assert.equal((await ask(path)).status, 404, path);
    }
  });

  test("answers with vectors, pictures found and a map", async () => {
    const texts = await post("/api/texts", { texts: ["a", "b"] });
    assert.equal(texts.body.length, 2 * 4 * served.index.width);
    const rows = await post("/api/vectors", { rows: [4] });
    const vector = [...new Float32Array(new Uint8Array(rows.body).buffer)];
    const near = JSON.parse((await post("/api/nearest", { vector, k: 3, label: "even" })).body.toString());
    assert.equal(near.length, 3);
    assert.ok(near.every(({ label }: { label: string }) => label === "even"));
    for (let wait = 0; ; wait++) {
      const { status, body } = await ask("/api/map");
      assert.ok(wait < 200, "a map comes");
      if (status === 202) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const map = readMap(new Uint8Array(body).buffer);
      assert.deepEqual([map.rows.length, map.places.length, map.labels.length], [20, 40, 20]);
      assert.ok(map.places.every((x) => x >= 0 && x <= 1));
      const { labels } = served.index.info.data;
      for (const [i, row] of map.rows.entries())
        assert.equal(labels[map.labels[i]!], served.index.name(row).label);
      break;
    }
    assert.deepEqual(served.problems, []);
  });

  test("refuses what is no question, too long, or another site's", async () => {
    for (const [path, value] of [
      ["/api/texts", { texts: [] }],
      ["/api/texts", { texts: [3] }],
      ["/api/texts", { texts: ["a".repeat(3000)] }],
      ["/api/nearest", { vector: [1], k: 3 }],
      ["/api/nearest", { vector: [1], k: 0 }],
      ["/api/vectors", { rows: [99] }],
      ["/api/vectors", { rows: [-1] }],
      ["/api/browse", { from: 0, count: 10, path: "/etc" }],
    ] as const) {
      const { status, body } = await post(path, value);
      assert.equal(status, 400, path);
      assert.match(JSON.parse(body.toString()).error, /^[^\n]+$/);
    }
    assert.equal((await post("/api/texts", { texts: ["a".repeat(2 ** 21)] })).status, 413);
    const octets = {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: "no picture",
    };
    assert.equal((await ask("/api/picture", octets)).status, 400);
    const plain = { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" };
    assert.equal((await ask("/api/texts", plain)).status, 415);
    assert.equal((await ask("/api/set", { headers: { "sec-fetch-site": "cross-site" } })).status, 403);
    assert.equal((await ask("/", { headers: { host: "evil.example" } })).status, 421);
    assert.equal((await ask("/api/training")).status, 404);
  });

  test("many questions at once wait their turn, and too many are sent away", async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => post("/api/texts", { texts: [`text ${i}`] })),
    );
    const statuses = answers.map(({ status }) => status);
    assert.ok(statuses.filter((status) => status === 200).length >= 33);
    assert.ok(
      statuses.every((status) => status === 200 || status === 503),
      String(statuses),
    );
  });

  test("elsewhere than on this machine a token is asked for", async () => {
    await using open = await servedPictures(scratchFolder(), { count: 3, host: "0.0.0.0" });
    const { port, token } = open.server;
    const without = await fetch(`http://127.0.0.1:${port}/api/set`);
    assert.equal(without.status, 401);
    const withIt = await fetch(`http://127.0.0.1:${port}/api/set`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(withIt.status, 200);
  });
});
