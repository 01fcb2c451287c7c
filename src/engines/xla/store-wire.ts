/**
 * The store that processes share, on TCP: a map from texts to bytes, with reads that wait, and wills: what is to be
 * written when a process goes away without a word. Frames are a 32-bit little-endian length and a body; a request's
 * body is id, kind, timeout, key and value, an answer's is id, status and value. Before the first request both sides
 * show that they know the run's token (`store-hello.ts`). A connection that sends anything else is ended, alone.
 */

import { lookup } from "node:dns/promises";
import { connect, createServer, isIP, type Server, type Socket } from "node:net";
import { UsageError } from "../../core/errors.js";
import { greet, HELLO_BYTES, NO_TOKEN, nonce, proofOf, sameProof } from "./store-hello.js";

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

/** Longer than any key and value that PJRT and the trainer exchange; a stranger's length is not believed. */
const LONGEST_FRAME = 64 << 20;
/** Whoever connects says hello within this time. */
const HELLO_MS = 10_000;

const frame = (body: Uint8Array): Buffer => {
  const out = Buffer.allocUnsafe(4 + body.length);
  out.writeUInt32LE(body.length, 0);
  out.set(body, 4);
  return out;
};

/** Calls `each` with the body of every whole frame that arrives; one over `limit()` bytes ends the connection. */
function readFrames(socket: Socket, limit: () => number, each: (body: Buffer) => void): void {
  let chunks: Buffer[] = [];
  let bytes = 0;
  /** Of the next frame, its length's own four included; four while that is not known. */
  let wanted = 4;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    // Joined only when there is a whole frame, or a long one would be copied with each of its pieces.
    while (bytes >= wanted && !socket.destroyed) {
      const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      const size = all.readUInt32LE(0);
      if (size > limit()) return void socket.destroy();
      const rest = bytes < 4 + size ? all : all.subarray(4 + size);
      chunks = [rest];
      bytes = rest.length;
      wanted = rest === all ? 4 + size : 4;
      if (rest !== all) each(all.subarray(4, 4 + size));
    }
  });
}

/** A request's parts, or undefined where the body is none. */
function parseRequest(body: Buffer) {
  if (body.length < HEAD.key) return undefined;
  const kind = body.readUInt8(HEAD.kind);
  const end = HEAD.key + body.readUInt32LE(HEAD.keyLength);
  if (end > body.length || !Object.values<number>(kinds).includes(kind)) return undefined;
  return {
    id: body.readUInt32LE(HEAD.id),
    kind,
    timeoutMs: body.readUInt32LE(HEAD.timeout),
    key: body.toString("utf8", HEAD.key, end),
    value: Buffer.from(body.subarray(end)),
  };
}

/**
 * Serves a store at `port` of the address that `listen` is or names, for those who know `token`. Throws `UsageError`
 * when it cannot listen there.
 */
export async function serveStore(listen: string, port: number, token: string): Promise<Server> {
  const host = await ownAddress(listen);
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
    const challenge = nonce();
    let known = false;
    const late = setTimeout(() => socket.destroy(), HELLO_MS);
    socket.on("close", () => clearTimeout(late));
    socket.write(frame(challenge));
    const limit = () => (known ? LONGEST_FRAME : HELLO_BYTES);
    readFrames(socket, limit, (body) => {
      if (!known) {
        const answer = greet(token, challenge, body);
        known = answer !== undefined;
        if (known) clearTimeout(late);
        if (answer === undefined) socket.end(frame(NO_TOKEN));
        else socket.write(frame(answer));
        return;
      }
      const request = parseRequest(body);
      if (request === undefined) return void socket.destroy();
      const { id, kind, timeoutMs, key, value } = request;
      const answer = (value: Uint8Array | undefined) => {
        const out = Buffer.alloc(5 + (value?.length ?? 0));
        out.writeUInt32LE(id, 0);
        out.writeUInt8(value === undefined ? statuses.missing : statuses.ok, 4);
        if (value !== undefined) out.set(value, 5);
        if (!socket.destroyed) socket.write(frame(out));
      };
      if (kind === kinds.put) put(key, value);
      else if (kind === kinds.remove) values.delete(key);
      else if (kind === kinds.will) will = value.length === 0 ? undefined : { key, value };
      // Whoever waits for a value has it before its writer goes on, and perhaps ends this server.
      if (kind !== kinds.get && kind !== kinds.tryGet) return answer(new Uint8Array());
      const there = values.get(key);
      if (there !== undefined || kind === kinds.tryGet) return answer(there);
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
          `processes: process 0 must be able to listen at port ${port} of ${listen}; got ${error.message}. ` +
            "Set CLIPWRIGHT_RENDEZVOUS=host:port to a free one, or CLIPWRIGHT_LISTEN to an address of this machine.",
        ),
      ),
    );
    server.listen({ port, host }, () => resolve(server));
  });
}

/** The address to listen at. A name of this machine that only this machine can reach is not what others were told. */
async function ownAddress(listen: string): Promise<string> {
  if (isIP(listen) !== 0 || listen === "localhost") return listen;
  const found = await lookup(listen).catch((error: Error) => error);
  if (found instanceof Error || found.address.startsWith("127.") || found.address === "::1") {
    throw new UsageError(
      `processes: ${listen} must name an address of this machine that others reach; got ` +
        `${found instanceof Error ? found.message : found.address}. Set CLIPWRIGHT_LISTEN to one, or to 0.0.0.0 for all.`,
    );
  }
  return found.address;
}

export interface Link {
  ask(kind: Kind, key: string, value: Uint8Array, timeoutMs: number): Promise<Answer>;
  close(): void;
}

const RETRY_MS = 200;

export interface StoreAddress {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly timeoutMs: number;
}

/**
 * Connects to the store, trying until it is there. Throws `UsageError` after `timeoutMs`, and at once where whoever
 * answers has another token.
 */
export async function linkTo({ host, port, token, timeoutMs }: StoreAddress): Promise<Link> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await linkOver(await dial(host, port), token);
    } catch (error) {
      if (error instanceof UsageError) throw error;
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

/** The link once both sides have shown that they know the token. */
function linkOver(socket: Socket, token: string): Promise<Link> {
  let nextId = 0;
  const open = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  const own = nonce();
  let expected: Buffer | undefined;
  socket.setNoDelay(true);
  const link: Link = {
    ask(kind, key, value, timeoutMs) {
      const id = nextId++;
      const name = Buffer.from(key, "utf8");
      const body = Buffer.alloc(HEAD.key + name.length + value.length);
      if (body.length > LONGEST_FRAME) {
        const size = `${value.length} bytes, over ${LONGEST_FRAME}`;
        return Promise.reject(
          new UsageError(`processes: what they share must be small; got ${key} of ${size}.`),
        );
      }
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
  return new Promise((resolve, reject) => {
    let ready = false;
    const refuse = () => {
      socket.destroy();
      const who = `${socket.remoteAddress}:${socket.remotePort}`;
      reject(
        new UsageError(
          `processes: who answers at ${who} must be process 0 of the same run; it has another token. ` +
            "Set the same CLIPWRIGHT_TOKEN for all processes, or another port in CLIPWRIGHT_RENDEZVOUS.",
        ),
      );
    };
    readFrames(
      socket,
      () => (ready ? LONGEST_FRAME : HELLO_BYTES),
      (body) => {
        if (ready) {
          if (body.length < 5) return void socket.destroy();
          const id = body.readUInt32LE(0);
          const ok = body.readUInt8(4) === statuses.ok;
          open.get(id)?.resolve({ value: ok ? Uint8Array.from(body.subarray(5)) : undefined });
          open.delete(id);
        } else if (expected === undefined) {
          expected = proofOf(token, "server", body, own);
          socket.write(frame(Buffer.concat([own, proofOf(token, "client", body, own)])));
        } else if (sameProof(body, expected)) {
          ready = true;
          resolve(link);
        } else refuse();
      },
    );
    const lost = () => {
      reject(new Error("the connection ended"));
      for (const waiting of open.values()) {
        waiting.reject(
          new UsageError("processes: process 0 has gone away. Start the run again: it resumes."),
        );
      }
      open.clear();
    };
    socket.on("error", lost);
    socket.on("close", lost);
  });
}
