/** Files as a page finds them: a server of folders, each under a name, for browsers in tests. */

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Serves `folders` by their first path, and `texts` by their whole one. Loopback alone; gives the address. */
export async function servePages(
  folders: Readonly<Record<string, string>>,
  texts: Readonly<Record<string, string>> = {},
): Promise<{ readonly address: string; close(): void }> {
  const server = createServer((request, answer) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    const type = { "content-type": TYPES[extname(path)] ?? "application/octet-stream" };
    const text = texts[path];
    if (text !== undefined) {
      answer.writeHead(200, path === "/" ? { "content-type": TYPES[".html"] } : type).end(text);
      return;
    }
    const [, first = "", ...rest] = normalize(path).split("/");
    const file = join(folders[first] ?? "", ...rest);
    if (folders[first] === undefined || !existsSync(file) || !statSync(file).isFile()) {
      answer.writeHead(404).end();
      return;
    }
    answer.writeHead(200, type);
    createReadStream(file).pipe(answer);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => server.close(),
  };
}
