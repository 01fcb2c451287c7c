/**
 * Who may talk to the server: pages of its own, under a name of its own, with the token where it has one. Other sites that
 * a visitor has open can neither read nor write, and no name that points here by a trick of DNS is answered.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";

/** Only what this server sends runs, and nothing is ever made into script or markup. */
export const headersGuard: MiddlewareHandler = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
    requireTrustedTypesFor: ["'script'"],
    trustedTypes: ["'none'"],
  },
  crossOriginResourcePolicy: "same-origin",
  crossOriginOpenerPolicy: "same-origin",
  referrerPolicy: "no-referrer",
  xFrameOptions: "DENY",
  strictTransportSecurity: false,
});

export interface Access {
  /** Names, without port, under which the server answers. */
  readonly hosts: ReadonlySet<string>;
  readonly port: () => number;
  /** Absent on loopback. */
  readonly token: string | undefined;
  /** Whether bytes (application/octet-stream) are taken besides JSON. Default false. */
  readonly bytes?: boolean | undefined;
}

/** Host, then token, then where a request comes from. */
export function accessGuard({ hosts, port, token, bytes = false }: Access): MiddlewareHandler {
  const taken = bytes ? /^application\/(json|octet-stream)\s*(;|$)/i : /^application\/json\s*(;|$)/i;
  return async (c, next) => {
    const host = c.req.header("host")?.toLowerCase() ?? "";
    const [, name = "", number = "80"] = /^(\[[0-9a-f:.]+\]|[^:]*)(?::(\d+))?$/.exec(host) ?? [];
    if (!hosts.has(name) || Number(number) !== port()) {
      return c.json({ error: `this server does not answer to the name "${host}".` }, 421);
    }
    const url = new URL(c.req.url);
    if (token !== undefined) {
      // Cookies know no ports: two servers on one machine have one each.
      const cookie = `clipwright_${port()}`;
      const given = url.searchParams.get("token");
      if (url.pathname === "/" && given !== null && isToken(given, token)) {
        setCookie(c, cookie, token, { httpOnly: true, sameSite: "Strict", path: "/" });
        return c.redirect("/", 303);
      }
      const bearer = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1];
      if (!isToken(bearer ?? getCookie(c, cookie) ?? "", token)) {
        return c.json({ error: "a token is needed: open the address that the server printed." }, 401);
      }
    }
    const isWrite = c.req.method !== "GET" && c.req.method !== "HEAD";
    const site = c.req.header("sec-fetch-site");
    const origin = c.req.header("origin");
    const own = site === undefined || site === "same-origin" || site === "none";
    if (
      (!own && (isWrite || url.pathname !== "/")) ||
      (origin !== undefined && origin !== `http://${host}`)
    ) {
      return c.json({ error: "requests of other sites are not answered." }, 403);
    }
    // A form or an image of another site cannot send these types without asking first, and is not answered then.
    if (isWrite && !taken.test(c.req.header("content-type") ?? "")) {
      return c.json({ error: `only ${bytes ? "JSON and bytes are" : "JSON is"} taken.` }, 415);
    }
    return next();
  };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** In a time that tells nothing of how much of it is right. */
const isToken = (given: string, token: string): boolean => timingSafeEqual(digest(given), digest(token));
