/**
 * Threads of the store. PJRT calls back on threads of its own and waits for the answer, so nothing that answers
 * may wait for the main thread, and a read that waits must not keep a write from being answered:
 * - `server` (in process 0) holds the values;
 * - `link` talks to the server;
 * - `reader` and `writer` are called by PJRT, hand the question to `link` and sleep until it has the answer.
 */

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import koffi from "koffi";
import { InternalError } from "../../core/errors.js";
import type { Pointer } from "../native.js";
import { keyValueGet, keyValuePut, keyValueTryGet, NOT_FOUND } from "./layout.js";
import { type Kind, type Link, linkTo, type StoreAddress, serveStore } from "./store-wire.js";

export type WorkerData =
  | { readonly role: "server"; readonly listen: string; readonly port: number; readonly token: string }
  | ({ readonly role: "link" } & StoreAddress)
  | { readonly role: "reader" | "writer"; readonly link: MessagePort; readonly mailbox: SharedArrayBuffer };

/** A question of `reader` or `writer` to `link`; the answer goes into the mailbox. */
interface Question {
  readonly kind: Kind;
  readonly key: string;
  readonly value: Uint8Array;
  readonly timeoutMs: number;
}

/** Mailbox: state, then the answer's length, then the answer. */
const STATE = 0;
const LENGTH = 1;
const HEAD_BYTES = 8;
const states = { waiting: 0, ok: 1, missing: 2, failed: 3 } as const;
export const MAILBOX_BYTES = 16 << 20;

const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

async function start(data: WorkerData, parent: MessagePort): Promise<void> {
  try {
    if (data.role === "server") {
      await serveStore(data.listen, data.port, data.token);
      parent.postMessage({ ready: true });
    } else if (data.role === "link") {
      const link = await linkTo(data);
      parent.on("message", (message) => void serve(link, message, parent));
      parent.postMessage({ ready: true });
    } else {
      parent.postMessage({ ready: true, callbacks: register(data.role, ask(data.link, data.mailbox)) });
      // Listening keeps the thread alive for the callbacks.
      parent.on("message", () => {});
    }
  } catch (error) {
    parent.postMessage({ failed: (error as Error).message });
  }
}

/** Either a new asker (a port and its mailbox), or a question of the main thread. */
async function serve(
  link: Link,
  message: { asker?: MessagePort; mailbox?: SharedArrayBuffer; question?: Question; id?: number },
  parent: MessagePort,
): Promise<void> {
  const { asker, mailbox, question, id } = message;
  if (asker !== undefined && mailbox !== undefined) {
    asker.on("message", (asked: Question) => void answerInto(link, asked, mailbox));
    return;
  }
  if (question === undefined) return;
  const { kind, key, value, timeoutMs } = question;
  try {
    parent.postMessage({ id, value: (await link.ask(kind, key, value, timeoutMs)).value });
  } catch (error) {
    parent.postMessage({ id, failed: (error as Error).message });
  }
}

async function answerInto(link: Link, question: Question, mailbox: SharedArrayBuffer): Promise<void> {
  const head = new Int32Array(mailbox, 0, 2);
  const finish = (state: number, bytes: Uint8Array) => {
    new Uint8Array(mailbox, HEAD_BYTES, bytes.length).set(bytes);
    Atomics.store(head, LENGTH, bytes.length);
    Atomics.store(head, STATE, state);
    Atomics.notify(head, STATE);
  };
  try {
    const { kind, key, value, timeoutMs } = question;
    const answer = await link.ask(kind, key, value, timeoutMs);
    if (answer.value === undefined) finish(states.missing, new Uint8Array());
    else if (answer.value.length > MAILBOX_BYTES - HEAD_BYTES)
      throw new InternalError("the value is too long");
    else finish(states.ok, answer.value);
  } catch (error) {
    finish(states.failed, new TextEncoder().encode((error as Error).message));
  }
}

type Ask = (question: Question) => { state: number; bytes: Uint8Array };

/** Asks and sleeps until the answer is there. */
const ask =
  (link: MessagePort, mailbox: SharedArrayBuffer): Ask =>
  (question) => {
    const head = new Int32Array(mailbox, 0, 2);
    Atomics.store(head, STATE, states.waiting);
    link.postMessage(question);
    Atomics.wait(head, STATE, states.waiting);
    const bytes = new Uint8Array(mailbox, HEAD_BYTES, Atomics.load(head, LENGTH)).slice();
    return { state: Atomics.load(head, STATE), bytes };
  };

/** Registers the callbacks of a role; gives their addresses. */
function register(role: "reader" | "writer", question: Ask): Record<string, Pointer> {
  const callback = koffi.pointer(koffi.proto("void *KeyValueCallback(void *args)"));
  const errorMaker = koffi.proto("void *CallbackError(int code, const char *message, size_t size)");
  const libc = koffi.load(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6");
  const malloc = libc.func("void *malloc(size_t size)");
  const free = libc.symbol("free") as Pointer;

  const words = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const open = (args: Pointer, size: number) => new DataView(koffi.view(args, size));
  const word = (view: DataView, at: number) => view.getBigUint64(at, true);
  const keyOf = (view: DataView, layout: { key: number; keySize: number }) =>
    words(new Uint8Array(koffi.view(word(view, layout.key), Number(word(view, layout.keySize)))));
  // The field holds the address of a function pointer.
  const fail = (view: DataView, at: number, code: number, message: string): Pointer => {
    const make = koffi.decode(word(view, at), "void *") as Pointer;
    return koffi.call(make, errorMaker, code, message, Buffer.byteLength(message)) as Pointer;
  };
  const give = (
    view: DataView,
    layout: { value: number; valueSize: number; free: number },
    bytes: Uint8Array,
  ) => {
    // PJRT copies the value and then calls `free` on it.
    const memory = malloc(Math.max(1, bytes.length)) as Pointer;
    new Uint8Array(koffi.view(memory, Math.max(1, bytes.length))).set(bytes);
    view.setBigUint64(layout.value, memory, true);
    view.setBigUint64(layout.valueSize, BigInt(bytes.length), true);
    view.setBigUint64(layout.free, free, true);
    return null;
  };
  if (role === "reader") {
    const get = (args: Pointer): Pointer | null => {
      const view = open(args, 80);
      const key = keyOf(view, keyValueGet);
      const timeoutMs = Math.max(0, view.getInt32(keyValueGet.timeoutMs, true));
      const { state, bytes } = question({ kind: "get", key, value: new Uint8Array(), timeoutMs });
      if (state === states.ok) return give(view, keyValueGet, bytes);
      return state === states.missing
        ? fail(view, keyValueGet.error, DEADLINE_EXCEEDED, `no ${key} within ${timeoutMs} ms`)
        : fail(view, keyValueGet.error, UNAVAILABLE, words(bytes));
    };
    return { get: koffi.register(get, callback) };
  }
  const put = (args: Pointer): Pointer | null => {
    const view = open(args, 64);
    const key = keyOf(view, keyValuePut);
    const size = Number(word(view, keyValuePut.valueSize));
    const value =
      size === 0 ? new Uint8Array() : new Uint8Array(koffi.view(word(view, keyValuePut.value), size)).slice();
    const { state, bytes } = question({ kind: "put", key, value, timeoutMs: 0 });
    return state === states.ok ? null : fail(view, keyValuePut.error, UNAVAILABLE, words(bytes));
  };
  const tryGet = (args: Pointer): Pointer | null => {
    const view = open(args, 72);
    const key = keyOf(view, keyValueTryGet);
    const { state, bytes } = question({ kind: "tryGet", key, value: new Uint8Array(), timeoutMs: 0 });
    if (state === states.ok) return give(view, keyValueTryGet, bytes);
    return state === states.missing
      ? fail(view, keyValueTryGet.error, NOT_FOUND, `no ${key}`)
      : fail(view, keyValueTryGet.error, UNAVAILABLE, words(bytes));
  };
  return { put: koffi.register(put, callback), tryGet: koffi.register(tryGet, callback) };
}

if (parentPort !== null) await start(workerData as WorkerData, parentPort);
