/** A server of pages for people: where it listens, who is let in, and how it ends. */

import { randomBytes } from "node:crypto";
import type { Server } from "node:http";
import { hostname, networkInterfaces } from "node:os";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { UsageError } from "../errors.js";
import type { Access } from "./guard.js";

export interface ServeOptions {
  /** An address or name of this machine. Default `127.0.0.1`; any other but loopback needs the token that is made then. */
  readonly host?: string;
  /** Default 0, a free one. */
  readonly port?: number;
  /** Told of pictures that cannot be read and of faults of the server, a line each. */
  readonly onProblem?: (line: string) => void;
}

export interface PageServer extends AsyncDisposable {
  readonly port: number;
  /** Addresses to open, with the token where there is one; the first is the best. */
  readonly urls: readonly string[];
  /** Undefined on loopback. */
  readonly token: string | undefined;
  /** Takes no more requests, ends those that are under way, and gives them two seconds. */
  close(): Promise<void>;
}

const CLOSE_MS = 2000;
const MOST_CONNECTIONS = 256;

const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];
const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
const isEverywhere = (host: string): boolean => host === "0.0.0.0" || host === "::";
const inUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host).toLowerCase();

/**
 * Serves what `makeApp` gives until `close`. Throws a `UsageError` where the port is taken or the address is none of this
 * machine's.
 */
export async function listen(
  makeApp: (access: Access) => Hono,
  { host = "127.0.0.1", port = 0 }: Omit<ServeOptions, "onProblem"> = {},
): Promise<PageServer> {
  const token = isLoopback(host) ? undefined : randomBytes(24).toString("base64url");
  const names = namesOf(host);
  let bound = port;
  const app = makeApp({ hosts: new Set(names), port: () => bound, token });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  bound = typeof address === "object" && address !== null ? address.port : port;
  const shown = isEverywhere(host) ? names.filter((name) => !LOOPBACK.includes(name)) : [inUrl(host)];
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      const late = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
      server.close(() => {
        clearTimeout(late);
        resolve();
      });
      server.closeIdleConnections();
    });
  return {
    port: bound,
    token,
    urls: shown.map((name) => `http://${name}:${bound}/${token === undefined ? "" : `?token=${token}`}`),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Names, as a Host header has them, under which a server at `host` is reached. */
function namesOf(host: string): string[] {
  if (isLoopback(host)) return [...new Set([inUrl(host), ...LOOPBACK])];
  if (!isEverywhere(host)) return [inUrl(host)];
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal }) => !internal)
    .map(({ address }) => inUrl(address.replace(/%.*$/, "")));
  return [...new Set([...addresses, hostname().toLowerCase(), ...LOOPBACK])];
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  const setting = (key: string, message: string): UsageError =>
    new UsageError(message, { key, cause: error });
  if (error.code === "EADDRINUSE") {
    return setting("port", `port: ${port} is taken. Give another, or 0 for one that is free.`);
  }
  if (error.code === "EACCES") {
    return setting("port", `port: ${port} may not be used by this user. Give one above 1023.`);
  }
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND" || error.code === "EAI_AGAIN") {
    return setting("host", `host: ${host} is no address of this machine. Give one, or 0.0.0.0 for all.`);
  }
  return error;
}
