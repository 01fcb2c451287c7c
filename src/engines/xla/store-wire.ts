/**
 * The store that processes share, on TCP: a map from texts to bytes, with reads that wait, and wills: what is to be
 * written when a process goes away without a word. Frames are a 32-bit little-endian length and a body; a request's
 * body is id, kind, timeout, key and value, an answer's is id, status and value.
 */

import { connect, createServer, type Server, type Socket } from "node:net";
import { UsageError } from "../../core/errors.js";

/**
 * `will` leaves a value that the server puts under the key when the connection ends, unless the key is there then;
 * the next will takes its place, and one without a value withdraws it.
 */
export const kinds = { put: 1, get: 2, tryGet: 3, remove: 4, will: 5 } as const;
export type Kind = keyof typeof kinds;
export const statuses = { ok: 0, missing: 1 } as const;

export interface Answer {
  /** Undefined when the key was not there (in time). */
  readonly value: Uint8Array | undefined;
}

const HEAD = { id: 0, kind: 4, timeout: 5, keyLength: 9, key: 13 } as const;

const frame = (body: Uint8Array): Buffer => {
  const out = Buffer.allocUnsafe(4 + body.length);
  out.writeUInt32LE(body.length, 0);
  out.set(body, 4);
  return out;
};

/** Calls `each` with the body of every whole frame that arrives. */
function readFrames(socket: Socket, each: (body: Buffer) => void): void {
  let chunks: Buffer[] = [];
  let bytes = 0;
  /** Of the next frame, its length's own four included; four while that is not known. */
  let wanted = 4;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    // Joined only when there is a whole frame, or a long one would be copied with each of its pieces.
    while (bytes >= wanted) {
      const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      const size = all.readUInt32LE(0);
      const rest = bytes < 4 + size ? all : all.subarray(4 + size);
      chunks = [rest];
      bytes = rest.length;
      wanted = rest === all ? 4 + size : 4;
      if (rest !== all) each(all.subarray(4, 4 + size));
    }
  });
}

/** Serves a store at `port` on every interface. Throws `UsageError` when the port is taken. */
export function serveStore(port: number): Promise<Server> {
  const values = new Map<string, Buffer>();
  const waiting = new Map<string, Set<() => void>>();
  const put = (key: string, value: Buffer) => {
    values.set(key, value);
    for (const wake of waiting.get(key) ?? []) wake();
    waiting.delete(key);
  };
  const server = createServer((socket) => {
    let will: { readonly key: string; readonly value: Buffer } | undefined;
    const reads = new Set<() => void>();
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      for (const cancel of reads) cancel();
      if (will !== undefined && !values.has(will.key)) put(will.key, will.value);
    });
    readFrames(socket, (body) => {
      const id = body.readUInt32LE(HEAD.id);
      const kind = body.readUInt8(HEAD.kind);
      const timeoutMs = body.readUInt32LE(HEAD.timeout);
      const keyLength = body.readUInt32LE(HEAD.keyLength);
      const key = body.toString("utf8", HEAD.key, HEAD.key + keyLength);
      const answer = (value: Uint8Array | undefined) => {
        const out = Buffer.alloc(5 + (value?.length ?? 0));
        out.writeUInt32LE(id, 0);
        out.writeUInt8(value === undefined ? statuses.missing : statuses.ok, 4);
        if (value !== undefined) out.set(value, 5);
        if (!socket.destroyed) socket.write(frame(out));
      };
      const value = Buffer.from(body.subarray(HEAD.key + keyLength));
      if (kind === kinds.put) put(key, value);
      else if (kind === kinds.remove) values.delete(key);
      else if (kind === kinds.will) will = value.length === 0 ? undefined : { key, value };
      // Whoever waits for a value has it before its writer goes on, and perhaps ends this server.
      if (kind !== kinds.get && kind !== kinds.tryGet) return answer(new Uint8Array());
      const known = values.get(key);
      if (known !== undefined || kind === kinds.tryGet) return answer(known);
      const wakers = waiting.get(key) ?? new Set();
      waiting.set(key, wakers);
      const cancel = () => {
        clearTimeout(timer);
        wakers.delete(wake);
        reads.delete(cancel);
      };
      const wake = () => {
        cancel();
        answer(values.get(key));
      };
      const timer = setTimeout(wake, timeoutMs);
      wakers.add(wake);
      reads.add(cancel);
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new UsageError(
          `processes: process 0 must be able to listen at port ${port}; got ${error.message}. ` +
            "Set CLIPWRIGHT_RENDEZVOUS=host:port to a free one.",
        ),
      ),
    );
    server.listen(port, () => resolve(server));
  });
}

export interface Link {
  ask(kind: Kind, key: string, value: Uint8Array, timeoutMs: number): Promise<Answer>;
  close(): void;
}

const RETRY_MS = 200;

/** Connects to the store, trying until it is there. Throws `UsageError` after `timeoutMs`. */
export async function linkTo(host: string, port: number, timeoutMs: number): Promise<Link> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return linkOver(await dial(host, port));
    } catch (error) {
      if (Date.now() > deadline) {
        throw new UsageError(
          `processes: process 0 must answer at ${host}:${port}; after ${Math.round(timeoutMs / 1000)} s got ` +
            `${(error as Error).message}. Check that it runs and that the port is open, or set CLIPWRIGHT_RENDEZVOUS.`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

const dial = (host: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => resolve(socket));
    socket.once("error", reject);
  });

function linkOver(socket: Socket): Link {
  let nextId = 0;
  const open = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  socket.setNoDelay(true);
  readFrames(socket, (body) => {
    const id = body.readUInt32LE(0);
    const ok = body.readUInt8(4) === statuses.ok;
    open.get(id)?.resolve({ value: ok ? Uint8Array.from(body.subarray(5)) : undefined });
    open.delete(id);
  });
  const lost = () => {
    for (const { reject } of open.values()) {
      reject(new UsageError("processes: process 0 has gone away. Start the run again: it resumes."));
    }
    open.clear();
  };
  socket.on("error", lost);
  socket.on("close", lost);
  return {
    ask(kind, key, value, timeoutMs) {
      const id = nextId++;
      const name = Buffer.from(key, "utf8");
      const body = Buffer.alloc(HEAD.key + name.length + value.length);
      body.writeUInt32LE(id, HEAD.id);
      body.writeUInt8(kinds[kind], HEAD.kind);
      body.writeUInt32LE(timeoutMs, HEAD.timeout);
      body.writeUInt32LE(name.length, HEAD.keyLength);
      body.set(name, HEAD.key);
      body.set(value, HEAD.key + name.length);
      return new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new UsageError("processes: process 0 has gone away."));
        open.set(id, { resolve, reject });
        socket.write(frame(body));
      });
    },
    close: () => socket.destroy(),
  };
}
