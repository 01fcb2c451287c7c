import assert from "node:assert/strict";
import { type IncomingHttpHeaders, request } from "node:http";
import { createServer } from "node:net";
import { hostname } from "node:os";
import { suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import type { PageServer } from "../src/core/web/listen.js";
import { readReviewLog } from "../src/curate/review/log/log.js";
import type {
  AgreementMessage,
  GroupsMessage,
  ItemsMessage,
  ProgressMessage,
  SetMessage,
  UndoReply,
  VerdictMessage,
  VerdictReply,
} from "../src/curate/review/protocol.js";
import { serveReview } from "../src/curate/review/server/app.js";
import { pngOf, scratchFolder } from "./data.helpers.js";
import { type SampleOptions, sampleSession, sampleSet } from "./support/review-set.js";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** A request with whatever headers, as no browser would send it. */
const ask = (server: PageServer, path: string, { method = "GET", headers = {}, body }: Asking = {}) =>
  new Promise<Answer>((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port: server.port,
        path,
        method,
        headers: { "x-reviewer": "Ada", ...headers },
        agent: false,
      },
      (answer) => {
        const pieces: Buffer[] = [];
        answer.on("data", (piece: Buffer) => pieces.push(piece));
        answer.on("end", () => {
          const bytes = Buffer.concat(pieces);
          const isPicture = String(answer.headers["content-type"]).startsWith("image/webp");
          const body = bytes.toString(isPicture ? "latin1" : "utf8");
          resolve({ status: answer.statusCode!, headers: answer.headers, body });
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });

const json = { "content-type": "application/json" };
const post = (server: PageServer, path: string, value: unknown, headers: Record<string, string> = {}) =>
  ask(server, path, { method: "POST", headers: { ...json, ...headers }, body: JSON.stringify(value) });

async function review(options?: SampleOptions, serving = {}) {
  const folder = scratchFolder();
  const set = sampleSet(options);
  const problems: string[] = [];
  const session = sampleSession(folder, set, { handout: { audit: 0, overlap: 0, repeats: 0 } });
  const server = await serveReview(session, { onProblem: (line) => problems.push(line), ...serving });
  return { folder, set, session, server, problems, log: `${folder}/review.jsonl` };
}

async function got<T>(asked: Promise<Answer>): Promise<T> {
  const { status, body } = await asked;
  assert.equal(status, 200, body);
  return JSON.parse(body) as T;
}

suite("serveReview lets nobody in who has no business there", () => {
  test("answers to its own names alone, whatever DNS says", async () => {
    const { server } = await review();
    await using _ = server;
    const { port } = server;
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
      assert.equal((await ask(server, "/api/set", { headers: { host } })).status, 200, host);
    }
    for (const host of [
      `evil.example:${port}`,
      `127.0.0.1.evil.example:${port}`,
      "127.0.0.1",
      `127.0.0.1:${port + 1}`,
      `x@127.0.0.1:${port}`,
    ]) {
      const { status, body } = await ask(server, "/api/set", { headers: { host } });
      assert.ok(status === 421 || status === 400, `${host}: ${status} ${body}`);
    }
  });

  test("takes nothing from other sites: no form, no image, no fetch", async () => {
    const { server, log } = await review();
    await using _ = server;
    const verdict: VerdictMessage = { item: 0, answer: "drop" };
    const own = { origin: `http://127.0.0.1:${server.port}`, "sec-fetch-site": "same-origin" };
    const refused: [Record<string, string>, number][] = [
      [{ origin: "http://evil.example" }, 403],
      [{ origin: "null" }, 403],
      [{ "sec-fetch-site": "cross-site" }, 403],
      [{ "sec-fetch-site": "same-site" }, 403],
      [{ ...own, "content-type": "text/plain" }, 415],
      [{ ...own, "content-type": "application/x-www-form-urlencoded" }, 415],
      [{ ...own, "content-type": "application/jsonp" }, 415],
    ];
    for (const [headers, wanted] of refused) {
      const { status } = await post(server, "/api/verdicts", verdict, headers);
      assert.equal(status, wanted, JSON.stringify(headers));
    }
    assert.equal(
      (await ask(server, "/picture/0", { headers: { "sec-fetch-site": "cross-site" } })).status,
      403,
    );
    assert.equal((await ask(server, "/", { headers: { "sec-fetch-site": "cross-site" } })).status, 200);
    for (const method of ["PUT", "DELETE", "OPTIONS"]) {
      const { status, headers } = await ask(server, "/api/verdicts", { method, headers: json });
      assert.ok(status >= 400 && headers["access-control-allow-origin"] === undefined, method);
    }
    assert.deepEqual(readReviewLog(log).verdicts, []);
    assert.equal((await post(server, "/api/verdicts", verdict, own)).status, 200);
    assert.equal(readReviewLog(log).verdicts.length, 1);
  });

  test("sends a policy that runs nothing but its own scripts, and no caption in the page", async () => {
    const { server } = await review({ caption: () => "<script>alert(1)</script>" });
    await using _ = server;
    for (const path of [
      "/",
      "/style.css",
      "/script/curate/review/page/main.js",
      "/api/set",
      "/nowhere",
      "/picture/0",
    ]) {
      const { headers } = await ask(server, path);
      const policy = String(headers["content-security-policy"]);
      assert.match(
        policy,
        /default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'/,
      );
      assert.match(policy, /frame-ancestors 'none'.*require-trusted-types-for 'script'/);
      assert.doesNotMatch(policy, /unsafe|http|\*|data:/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["referrer-policy"], "no-referrer");
      assert.equal(headers["cross-origin-resource-policy"], "same-origin");
    }
    const { body, headers } = await ask(server, "/");
    assert.doesNotMatch(body, /alert\(|caption 0|<script>|<style|style="|\son\w+=/);
    assert.equal(headers["content-type"], "text/html; charset=UTF-8");
  });

  test("reads pictures by row, of the review alone, and nothing else of the disk", async () => {
    const { server, set, problems } = await review({ items: 3 });
    await using _ = server;
    const { status, headers, body } = await ask(server, "/picture/2?size=grid");
    assert.deepEqual(
      [status, headers["content-type"], body.slice(0, 4), body.slice(8, 12)],
      [200, "image/webp", "RIFF", "WEBP"],
    );
    for (const path of [
      "/picture/3",
      "/picture/-1",
      "/picture/1.5",
      "/picture/1e0",
      "/picture/99999999999",
      "/picture/../../etc/passwd",
      "/picture/..%2f..%2fetc%2fpasswd",
      "/script/curate/review/page/..%2f..%2fserver%2fapp.js",
      "/script/curate/review/page/../session.js",
      "/script/curate/review/page/tsconfig.json",
      "/style.css/../../../package.json",
    ]) {
      assert.equal((await ask(server, path)).status, 404, path);
    }
    Object.assign(set, {
      readPicture: async () => {
        throw new UsageError("cannot read /secret/place/1.jpg: it is no image.");
      },
    });
    assert.deepEqual(problems, []);
  });

  test("tells of a picture that cannot be read where it runs, and the page nothing of its place", async () => {
    const folder = scratchFolder();
    const set = {
      ...sampleSet({ items: 2 }),
      readPicture: async (row: number) => {
        if (row === 0) throw new UsageError("cannot read /secret/place/1.jpg: no such file.");
        return new TextEncoder().encode("<svg onload=alert(1)>");
      },
    };
    const problems: string[] = [];
    const onProblem = (line: string) => problems.push(line);
    await using server = await serveReview(sampleSession(folder, set), { onProblem });
    for (const row of [0, 1]) {
      const { status, body } = await ask(server, `/picture/${row}`);
      assert.deepEqual([status, JSON.parse(body)], [422, { error: "this picture cannot be read." }]);
    }
    assert.match(problems[0]!, /secret/);
  });

  test("another address needs the token, which becomes a cookie that scripts and other sites do not get", async () => {
    const { server } = await review({}, { host: "0.0.0.0" });
    await using _ = server;
    const { port, token, urls } = server;
    assert.match(token!, /^[\w-]{32}$/);
    assert.ok(urls.length > 0 && urls.every((url) => url.endsWith(`:${port}/?token=${token}`)));
    const host = `${hostname().toLowerCase()}:${port}`;
    assert.equal((await ask(server, "/", { headers: { host } })).status, 401);
    assert.equal((await ask(server, "/api/set")).status, 401);
    assert.equal((await ask(server, "/picture/0")).status, 401);
    assert.equal((await ask(server, "/?token=wrong")).status, 401);
    assert.equal((await ask(server, `/api/set?token=${token}`)).status, 401);
    assert.equal(
      (await ask(server, "/api/set", { headers: { cookie: `clipwright_${port}=${token}x` } })).status,
      401,
    );
    const entered = await ask(server, `/?token=${token}`, {
      headers: { host, "sec-fetch-site": "cross-site" },
    });
    assert.deepEqual([entered.status, entered.headers.location], [303, "/"]);
    const [cookie] = entered.headers["set-cookie"]!;
    assert.match(cookie!, /; Path=\/; HttpOnly; SameSite=Strict$/);
    const headers = { cookie: cookie!.split(";")[0]! };
    assert.equal((await ask(server, "/", { headers })).status, 200);
    assert.equal(
      (await ask(server, "/api/set", { headers: { authorization: `Bearer ${token}` } })).status,
      200,
    );
    assert.equal(
      (await ask(server, "/api/set", { headers: { ...headers, host: `evil.example:${port}` } })).status,
      421,
    );
  });

  test("refuses what is too long or no request of its own, in one line, and goes on", async () => {
    const { server, log } = await review({ items: 5 });
    await using _ = server;
    const long = { item: 0, answer: "keep", correctedCaption: "x".repeat(70_000) };
    assert.equal((await post(server, "/api/verdicts", long)).status, 413);
    const chunked = {
      method: "POST",
      headers: { ...json, "transfer-encoding": "chunked" },
      body: JSON.stringify(long),
    };
    assert.equal((await ask(server, "/api/verdicts", chunked)).status, 413);
    for (const wrong of [
      {},
      [],
      null,
      { item: 0, answer: "maybe" },
      { item: -1, answer: "keep" },
      { item: 5, answer: "keep" },
      { item: 0, other: 0, answer: "same" },
      { item: 0, answer: "same" },
      { item: 0, other: 1, answer: "keep" },
      { item: 0, answer: "keep", reviewer: "Ben" },
      { item: 0, answer: "keep", correctedCaption: "x".repeat(10_001) },
    ]) {
      const { status, body } = await post(server, "/api/verdicts", wrong);
      assert.equal(status, 400, JSON.stringify(wrong));
      assert.doesNotMatch((JSON.parse(body) as { error: string }).error, /\n/);
    }
    assert.equal(
      (await ask(server, "/api/verdicts", { method: "POST", headers: json, body: "{" })).status,
      400,
    );
    for (const name of ["", "%E0%A4%A", encodeURIComponent("a\nb"), "a".repeat(81)]) {
      const headers = { "x-reviewer": name };
      assert.equal(
        (await post(server, "/api/verdicts", { item: 0, answer: "keep" }, headers)).status,
        400,
        name,
      );
    }
    for (const query of [
      "status=odd",
      "count=1000",
      "shown=1,x",
      "low=x&score=blur",
      "score=none&low=1",
      "more=1",
    ]) {
      assert.equal((await ask(server, `/api/items?${query}`)).status, 400, query);
    }
    assert.deepEqual(readReviewLog(log).verdicts, []);
    assert.equal((await post(server, "/api/verdicts", { item: 0, answer: "keep" })).status, 200);
  });

  test("says which port is taken and which address is none of this machine's", async () => {
    const { session, server } = await review();
    await using _ = server;
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    await assert.rejects(serveReview(session, { port }), {
      name: "UsageError",
      key: "port",
      message: `port: ${port} is taken. Give another, or 0 for one that is free.`,
    });
    await new Promise((resolve) => other.close(resolve));
    await assert.rejects(
      serveReview(session, { host: "192.0.2.1" }),
      /host: 192\.0\.2\.1 is no address of this machine/,
    );
  });

  test("ends at once though browsers keep connections open", async () => {
    const { server } = await review();
    const started = performance.now();
    const answer = await fetch(`${server.urls[0]}api/set`);
    await answer.text();
    await server.close();
    assert.ok(performance.now() - started < 1900);
    await assert.rejects(fetch(`${server.urls[0]}api/set`));
  });
});

suite("the review's requests", () => {
  test("items by status, text, reason and score, page by page", async () => {
    const { server } = await review({ items: 30, keep: (i) => i >= 10, classes: ["dog", "cat"] });
    await using _ = server;
    const items = (query: string) => got<ItemsMessage>(ask(server, `/api/items?${query}`));
    const set = await got<SetMessage>(ask(server, "/api/set"));
    assert.deepEqual(
      [set.items, set.classes, set.reasons, set.scores.map(({ name, low }) => [name, low > 0])],
      [
        30,
        ["cat", "dog"],
        ["lowest clip_score"],
        [
          ["clip_score", false],
          ["blur", true],
        ],
      ],
    );
    const all = await items("status=all&count=20");
    assert.deepEqual([all.items.length, all.total], [20, 30]);
    const rest = await items(`status=all&count=20&from=${all.next}`);
    assert.deepEqual([rest.items.length, rest.next], [10, null]);
    assert.equal(new Set([...all.items, ...rest.items].map(({ item }) => item)).size, 30);
    assert.equal((await items("status=all&text=CAPTION%201")).total, 11);
    assert.equal((await items("status=all&reason=lowest%20clip_score")).total, 10);
    assert.equal((await items("status=all&score=clip_score&low=0.5&high=0.8")).total, 10);
    assert.equal((await items("status=next&text=dog")).total, 15);
    const [one] = (await items("status=all&text=caption%207")).items;
    assert.deepEqual(
      [one!.item, one!.keep, one!.reason, one!.label, one!.mine],
      [7, false, "lowest clip_score", "cat", null],
    );
  });

  test("a verdict is taken down with what was shown, taken back by a further line, and others see it after theirs", async () => {
    const { server, log } = await review({ items: 6 });
    await using _ = server;
    const judge = (who: string, verdict: VerdictMessage) =>
      got<VerdictReply>(post(server, "/api/verdicts", verdict, { "x-reviewer": encodeURIComponent(who) }));
    await judge("Ada", { item: 2, answer: "drop", scoresShown: true, drawn: "order" });
    const seen = await got<ItemsMessage>(
      ask(server, "/api/items?status=all&text=caption%202", { headers: { "x-reviewer": "Ben" } }),
    );
    assert.deepEqual([seen.items[0]!.mine, seen.items[0]!.others], [null, []]);
    const { item, progress } = await judge("Bén ☂", {
      item: 2,
      answer: "keep",
      correctedCaption: " better ",
      correctedLabel: "",
    });
    assert.deepEqual(
      [item.mine, item.others],
      [
        { reviewer: "Bén ☂", answer: "keep", correctedCaption: "better" },
        [{ reviewer: "Ada", answer: "drop" }],
      ],
    );
    assert.deepEqual(
      [progress.conflicts, progress.decided, progress.reviewers],
      [
        1,
        0,
        [
          { name: "Ada", verdicts: 1 },
          { name: "Bén ☂", verdicts: 1 },
        ],
      ],
    );
    const agreement = await got<AgreementMessage>(ask(server, "/api/agreement"));
    assert.deepEqual(agreement.conflicts, [
      { item: 2, key: "2.png", said: "Ada: drop · Bén ☂: correct “better”" },
    ]);
    await judge("Ada", { item: 2, answer: "keep" });
    const undone = await got<UndoReply>(post(server, "/api/undo", {}));
    assert.equal(undone.item!.mine!.answer, "drop");
    assert.equal((await got<UndoReply>(post(server, "/api/undo", {}))).item!.mine, null);
    assert.equal((await got<UndoReply>(post(server, "/api/undo", {}))).item, null);
    const { verdicts } = readReviewLog(log);
    assert.deepEqual(
      verdicts.map(({ reviewer, answer, undoes }) => [reviewer, answer, undoes === undefined]),
      [
        ["Ada", "drop", true],
        ["Bén ☂", "keep", true],
        ["Ada", "keep", true],
        ["Ada", "drop", false],
        ["Ada", "undecided", false],
      ],
    );
    assert.deepEqual(Object.keys(verdicts[0]!.shownScores!), ["clip_score", "blur"]);
    assert.equal(verdicts[1]!.shownScores, undefined);
  });

  test("undo goes on after a restart, and what another server writes to the log is seen", async () => {
    const { server, folder, set, log } = await review({ items: 6 });
    await using _ = server;
    await post(server, "/api/verdicts", { item: 1, answer: "drop" });
    await using second = await serveReview(sampleSession(folder, set));
    await post(second, "/api/verdicts", { item: 3, answer: "drop" }, { "x-reviewer": "Ben" });
    const progress = await got<ProgressMessage>(ask(server, "/api/progress?version=1"));
    assert.deepEqual(progress.reviewers, [
      { name: "Ada", verdicts: 1 },
      { name: "Ben", verdicts: 1 },
    ]);
    assert.equal((await ask(server, `/api/progress?version=${progress.version}`)).status, 204);
    assert.equal((await got<UndoReply>(post(second, "/api/undo", {}))).item!.item, 1);
    assert.equal(readReviewLog(log).verdicts.at(-1)!.answer, "undecided");
  });

  test("copies are judged two by two, and remembered", async () => {
    const { server } = await review({ items: 9, group: (i) => (i < 6 ? i % 2 : undefined) });
    await using _ = server;
    const groups = () => got<GroupsMessage>(ask(server, "/api/groups"));
    assert.deepEqual(
      (await groups()).groups.map(({ members }) => members.map(({ item }) => item)),
      [
        [0, 2, 4],
        [1, 3, 5],
      ],
    );
    await got(post(server, "/api/verdicts", { item: 0, other: 4, answer: "same" }));
    await got(post(server, "/api/verdicts", { item: 3, other: 1, answer: "different" }));
    assert.deepEqual(
      (await groups()).groups.map(({ answers }) => answers),
      [
        [null, "same"],
        ["different", null],
      ],
    );
    const { group } = await got<UndoReply>(post(server, "/api/undo", {}));
    assert.equal(group, 1);
    assert.deepEqual((await groups()).groups[1]!.answers, [null, null]);
  });

  test("pictures under load are all shown", async () => {
    const { server } = await review({ items: 40 });
    await using _ = server;
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, row) => ask(server, `/picture/${row}?size=grid`)),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.ok((await pngOf(1)).length > 0);
  });
});
