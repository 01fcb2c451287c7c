/** The routes of the page: itself, thumbnails by row, and what it asks. Nothing is read but the index, by rows. */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import { type Access, accessGuard, headersGuard } from "../../core/web/guard.js";
import { listen, type PageServer, type ServeOptions } from "../../core/web/listen.js";
import { pageScripts, sendText } from "../../core/web/scripts.js";
import { Busy, Turns } from "../../core/web/turns.js";
import type { Description, Training } from "../page/source.js";
import { icon, pageDocument } from "./document.js";
import type { Served } from "./served.js";
import { pageStyle } from "./style.js";

const PAGE = "serve/page/main.js";
/** Of a picture that is given, and of questions. */
const PICTURE_BYTES = 2 ** 25;
const BODY_BYTES = 2 ** 20;
/** Embedding takes the whole processor: one at a time. */
const EMBEDDING = { atOnce: 1, waiting: 32 };

/** Before there are pictures. */
const NOTHING: Omit<Description, "title"> = {
  ...{ rows: 0, labels: [], version: "none", model: "before its first checkpoint" },
  scale: { value: 1, about: "not known yet" },
};

const rowNumber = z.int().min(0);
const filter = { label: z.string().max(1000).optional(), words: z.string().max(1000).optional() };
const questions = {
  texts: z.strictObject({ texts: z.array(z.string().min(1).max(2000)).min(1).max(1000) }),
  vectors: z.strictObject({ rows: z.array(rowNumber).min(1).max(1000) }),
  nearest: z.strictObject({
    vector: z.array(z.number()).max(2 ** 14),
    k: z.int().min(1).max(1000),
    ...filter,
  }),
  browse: z.strictObject({ from: rowNumber, count: z.int().min(1).max(1000), ...filter }),
};

/** What is shown; another one from one request to the next while a training is followed. */
export interface Shown {
  /** Undefined before a followed run's first checkpoint. */
  current(): Served | undefined;
  /** What is told before that. */
  readonly title?: string | undefined;
  /** Absent where no training is followed. */
  readonly training?: (() => Training) | undefined;
}

/** Serves the page until `close`. Throws a `UsageError` where the port is taken or the address is none of this machine's. */
export const servePictures = (
  shown: Shown,
  { onProblem = () => {}, ...where }: ServeOptions = {},
): Promise<PageServer> =>
  listen((access) => picturesApp(shown, { ...access, bytes: true }, onProblem), where);

export function picturesApp(shown: Shown, access: Access, onProblem: (line: string) => void): Hono {
  const app = new Hono();
  const current = (): Served => {
    const served = shown.current();
    if (served === undefined)
      throw new UsageError("pictures: there are none before the first checkpoint. Wait for it.");
    return served;
  };
  const describe = (): Description => shown.current()?.describe() ?? { ...NOTHING, title: shown.title ?? "" };
  const turns = new Turns("embedding", EMBEDDING.atOnce, EMBEDDING.waiting);

  app.use(headersGuard);
  app.use(async (c, next) => {
    await next();
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
  });
  app.use(accessGuard(access));
  const tooLong = (c: Context) => c.json({ error: "the request is too long." }, 413);
  app.use("/api/picture", bodyLimit({ maxSize: PICTURE_BYTES, onError: tooLong }));
  app.use(async (c, next) =>
    c.req.path === "/api/picture" ? next() : bodyLimit({ maxSize: BODY_BYTES, onError: tooLong })(c, next),
  );

  app.get("/", (c) => c.html(pageDocument(describe().title)));
  app.get("/style.css", (c) => sendText(c, "text/css", pageStyle));
  app.get("/icon.svg", (c) => sendText(c, "image/svg+xml", icon));
  for (const [address, script] of pageScripts(PAGE, ["serve/page", "serve/search", "core", "core/page"])) {
    if (isOfPage(address)) app.get(address, (c) => sendText(c, "text/javascript", script));
  }

  app.get("/thumbnail/:row{[0-9]{1,10}}", (c) => {
    const row = Number(c.req.param("row"));
    const { index, version } = current();
    if (row >= index.rows) return c.json({ error: "there is no such picture." }, 404);
    const kept = c.req.query("version") === version ? "private, max-age=86400, immutable" : "no-store";
    return c.body(index.thumbnail(row) as Uint8Array<ArrayBuffer>, 200, {
      "content-type": index.info.thumbnails.type,
      "cache-control": kept,
    });
  });

  app.get("/api/set", (c) =>
    c.json({ ...describe(), ...(shown.training !== undefined && { follows: true }) }),
  );
  app.get("/api/name/:row{[0-9]{1,10}}", (c) => {
    const row = Number(c.req.param("row"));
    const served = current();
    if (row >= served.index.rows) return c.json({ error: "there is no such picture." }, 404);
    return c.json(served.found(row));
  });
  app.get("/api/map", (c) => {
    const map = shown.current()?.map(onProblem);
    if (map === undefined) return c.body(null, 204);
    if (typeof map === "number") return c.json({ done: map }, 202);
    return sendBytes(c, map);
  });
  app.get("/api/training", (c) => {
    if (shown.training === undefined) return c.json({ error: "no training is followed." }, 404);
    return c.json(shown.training());
  });
  app.post("/api/texts", async (c) => {
    const { texts } = await asked(c, questions.texts);
    const { encoder, index } = current();
    return sendVectors(c, await turns.run(() => encoder.embedTexts(texts)), index.width);
  });
  app.post("/api/picture", async (c) => {
    const bytes = new Uint8Array(await c.req.arrayBuffer());
    const { encoder, index } = current();
    return sendVectors(c, await turns.run(() => encoder.embedImages([bytes])), index.width);
  });
  app.post("/api/vectors", async (c) => {
    const { rows } = await asked(c, questions.vectors);
    const { index } = current();
    const flat = new Float32Array(rows.length * index.width);
    for (const [i, row] of rows.entries()) flat.set(index.vectorOf(row), i * index.width);
    return sendVectors(c, flat, index.width);
  });
  app.post("/api/nearest", async (c) => {
    const { vector, k, ...rest } = await asked(c, questions.nearest);
    const served = current();
    if (vector.length !== served.index.width)
      throw new UsageError(`vector: must have ${served.index.width} numbers; got ${vector.length}.`);
    return c.json(await served.nearest(Float32Array.from(vector), k, rest));
  });
  app.post("/api/browse", async (c) => {
    const { from, count, ...rest } = await asked(c, questions.browse);
    return c.json(shown.current()?.browse(from, count, rest) ?? { found: [], total: 0 });
  });

  app.notFound((c) => c.json({ error: "there is no such address." }, 404));
  app.onError((error, c) => {
    if (error instanceof Busy) return c.json({ error: error.message }, 503);
    if (error instanceof UsageError) return c.json({ error: error.message }, 400);
    onProblem(`internal error: ${error.stack ?? error.message}`);
    return c.json({ error: "the server failed; it has told so where it runs." }, 500);
  });
  return app;
}

/** Of core only what the page's modules import. */
const isOfPage = (address: string): boolean =>
  !address.startsWith("/script/core/") ||
  address.startsWith("/script/core/page/") ||
  address === "/script/core/dtype.js";

async function asked<T>(c: Context, question: z.ZodType<T>): Promise<T> {
  const read = question.safeParse(await c.req.json().catch(() => undefined));
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new UsageError(`request: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "wrong"}`);
}

const sendBytes = (c: Context, bytes: Uint8Array<ArrayBuffer>): Response =>
  c.body(bytes, 200, { "content-type": "application/octet-stream" });

function sendVectors(c: Context, flat: Float32Array, width: number): Response {
  c.header("x-width", String(width));
  return sendBytes(c, new Uint8Array(flat.slice().buffer));
}
