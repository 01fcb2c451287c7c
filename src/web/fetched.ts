/** Files over the network, whole or not at all. */

import { UsageError } from "../core/errors.js";

/** The bytes of `url`. Throws `UsageError` naming it where they do not come. */
export async function fetchBytes(url: URL, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await answerOf(url, signal);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The JSON object at `url`. Throws `UsageError` as `fetchBytes`, and where it is none. */
export async function fetchObject(url: URL, signal?: AbortSignal): Promise<Record<string, unknown>> {
  const text = await (await answerOf(url, signal)).text();
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new UsageError(`${url.href}: must be a JSON object; got ${JSON.stringify(text.slice(0, 40))}.`);
}

/** The address of a folder, relative to the page: with a slash at its end. */
export const folderUrl = (folder: string | URL): URL => {
  const url = new URL(folder, globalThis.location?.href);
  return url.pathname.endsWith("/") ? url : new URL(`${url.pathname}/${url.search}`, url);
};

async function answerOf(url: URL, signal: AbortSignal | undefined): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url, { signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new UsageError(`${url.href}: cannot be fetched (${(error as Error).message}).`);
  }
  if (answer.ok) return answer;
  throw new UsageError(`${url.href}: cannot be fetched; the server says ${answer.status}.`);
}
