/** The routes of a review: the page and its parts, pictures by row, and what the page asks and says. */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { UsageError } from "../../../core/errors.js";
import { type Access, accessGuard, headersGuard } from "../../../core/web/guard.js";
import { listen, type PageServer, type ServeOptions } from "../../../core/web/listen.js";
import { pageScripts, sendText } from "../../../core/web/scripts.js";
import { Busy } from "../../../core/web/turns.js";
import { MOST_CAPTION, reviewerName } from "../log/verdict.js";
import type { ItemFilter, ReviewSession } from "../session.js";
import { icon, pageDocument } from "./document.js";
import { Pictures } from "./pictures.js";
import { reviewStyle } from "./style.js";

const PAGE = "curate/review/page/main.js";
const BODY_BYTES = 2 ** 16;
const MOST_ITEMS = 50;

const item = z.int().min(0);
const verdictBody = z.strictObject({
  item,
  other: item.optional(),
  answer: z.enum(["keep", "drop", "same", "different", "undecided"]),
  correctedCaption: z.string().max(MOST_CAPTION).optional(),
  correctedLabel: z.string().max(MOST_CAPTION).optional(),
  drawn: z.enum(["audit", "order", "gold", "free"]).optional(),
  repeat: z.boolean().optional(),
  scoresShown: z.boolean().optional(),
});

const wholeNumber = z.coerce.number().int().min(0);
const itemsQuery = z.strictObject({
  status: z.enum(["next", "all", "undecided", "conflicts", "mine"]).default("next"),
  text: z.string().max(1000).optional(),
  reason: z.string().max(1000).optional(),
  score: z.string().max(200).optional(),
  low: z.coerce.number().optional(),
  high: z.coerce.number().optional(),
  from: wholeNumber.optional(),
  count: wholeNumber.max(MOST_ITEMS).optional(),
  shown: z
    .string()
    .regex(/^\d{1,10}(,\d{1,10}){0,99}$/)
    .transform((text) => text.split(",").map(Number))
    .optional(),
});

export interface AppOptions extends Access {
  /** Told of pictures that cannot be read and of faults of the server. */
  readonly onProblem: (line: string) => void;
}

/** Serves a review until `close`. Throws a `UsageError` where the port is taken or the address is none of this machine's. */
export const serveReview = (
  session: ReviewSession,
  { onProblem = () => {}, ...where }: ServeOptions = {},
): Promise<PageServer> => listen((access) => reviewApp(session, { ...access, onProblem }), where);

export function reviewApp(session: ReviewSession, { onProblem, ...access }: AppOptions): Hono {
  const app = new Hono();
  const rows = new Set<number>();
  for (const { row } of session.set.items) if (row !== undefined) rows.add(row);
  const pictures = new Pictures(session.set.readPicture, rows);

  app.use(headersGuard);
  app.use(async (c, next) => {
    await next();
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
  });
  app.use(accessGuard(access));
  app.use(
    bodyLimit({ maxSize: BODY_BYTES, onError: (c) => c.json({ error: "the request is too long." }, 413) }),
  );

  app.get("/", (c) => c.html(pageDocument(session.set.title)));
  app.get("/style.css", (c) => sendText(c, "text/css", reviewStyle));
  app.get("/icon.svg", (c) => sendText(c, "image/svg+xml", icon));
  for (const [address, script] of pageScripts(PAGE, ["curate/review/page", "core/page"])) {
    app.get(address, (c) => sendText(c, "text/javascript", script));
  }

  app.get("/picture/:row{[0-9]{1,10}}", async (c) => {
    const row = Number(c.req.param("row"));
    if (!pictures.has(row)) return c.json({ error: "there is no such picture." }, 404);
    try {
      const bytes = await pictures.get(row, c.req.query("size") === "grid" ? "grid" : "full");
      return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
        "content-type": "image/webp",
        "cache-control": "private, max-age=3600",
      });
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      if (error instanceof Busy) return c.json({ error: error.message }, 503);
      onProblem(error.message);
      return c.json({ error: "this picture cannot be read." }, 422);
    }
  });

  app.get("/api/set", (c) => c.json(session.description()));
  app.get("/api/items", (c) => {
    const read = itemsQuery.safeParse(c.req.query());
    if (!read.success) return c.json({ error: wrong(read.error) }, 400);
    return c.json(session.items(reviewerOf(c), read.data satisfies ItemFilter));
  });
  app.get("/api/items/:item{[0-9]{1,10}}", (c) => {
    const i = Number(c.req.param("item"));
    if (i >= session.set.items.length) return c.json({ error: "there is no such pair." }, 404);
    return c.json(session.item(i, reviewerOf(c)));
  });
  app.get("/api/groups", (c) => {
    const from = wholeNumber.safeParse(c.req.query("from") ?? "0");
    return c.json(session.copies(reviewerOf(c), from.success ? from.data : 0));
  });
  app.get("/api/progress", (c) => {
    session.refresh();
    if (c.req.query("version") === String(session.standing.version)) return c.body(null, 204);
    return c.json(session.progress());
  });
  app.get("/api/agreement", (c) => c.json(session.agreement()));
  app.post("/api/verdicts", async (c) => {
    const read = verdictBody.safeParse(await bodyOf(c));
    if (!read.success) return c.json({ error: wrong(read.error) }, 400);
    return c.json(session.judge(reviewerOf(c), read.data));
  });
  app.post("/api/undo", (c) => c.json(session.undo(reviewerOf(c))));

  app.notFound((c) => c.json({ error: "there is no such address." }, 404));
  app.onError((error, c) => {
    if (error instanceof UsageError) {
      const status: ContentfulStatusCode = error.code === "ERR_USAGE" ? 400 : 500;
      if (status === 500) onProblem(error.message);
      return c.json({ error: error.message }, status);
    }
    onProblem(`internal error: ${error.stack ?? error.message}`);
    return c.json({ error: "the server failed; it has told so where it runs." }, 500);
  });
  return app;
}

async function bodyOf(c: Context): Promise<unknown> {
  try {
    return await c.req.json();
  } catch {
    return undefined;
  }
}

/** The reviewer by the header that the page sends, percent-encoded. */
function reviewerOf(c: Context): string {
  let name: string | undefined;
  try {
    name = decodeURIComponent(c.req.header("x-reviewer") ?? "");
  } catch {}
  const read = reviewerName.safeParse(name);
  if (read.success) return read.data;
  throw new UsageError("reviewer: must have a name of 1 to 80 characters; got none that can be read.");
}

const wrong = ({ issues: [issue] }: z.ZodError): string =>
  `request: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "wrong"}`;
