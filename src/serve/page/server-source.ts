/** The page's pictures, from the server that sent it. */

import type { Filter } from "../search/filter.js";
import { type PictureMap, readMap } from "../search/layout.js";
import type { Description, FoundPicture, PictureSource, Training } from "./source.js";

async function ask(path: string, body?: unknown): Promise<Response> {
  const isBytes = body instanceof Blob;
  const sent: RequestInit =
    body === undefined
      ? {}
      : {
          method: "POST",
          headers: { "content-type": isBytes ? "application/octet-stream" : "application/json" },
          body: isBytes ? body.slice(0, body.size, "application/octet-stream") : JSON.stringify(body),
        };
  let response: Response;
  try {
    response = await fetch(path, sent);
  } catch {
    throw new Error("The server does not answer. Start it again, and try again.");
  }
  if (response.ok) return response;
  const trouble = (await response.json().catch(() => undefined)) as { error?: string } | undefined;
  throw new Error(trouble?.error ?? `The server refused (${response.status}).`);
}

const json = async <T>(path: string, body?: unknown): Promise<T> =>
  (await (await ask(path, body)).json()) as T;

/** Vectors one after the other; the server says their width. */
async function vectorsFrom(path: string, body: unknown): Promise<Float32Array[]> {
  const response = await ask(path, body);
  const width = Number(response.headers.get("x-width"));
  const flat = new Float32Array(await response.arrayBuffer());
  return Array.from({ length: flat.length / width }, (_, i) => flat.subarray(i * width, (i + 1) * width));
}

export function serverSource(): PictureSource {
  let version = "";
  return {
    async describe() {
      const description = await json<Description>("/api/set");
      version = description.version;
      return description;
    },
    embedTexts: (texts) => vectorsFrom("/api/texts", { texts }),
    async embedPicture(picture) {
      const [vector] = await vectorsFrom("/api/picture", picture);
      return vector!;
    },
    vectors: (rows) => vectorsFrom("/api/vectors", { rows }),
    nearest: (vector: Float32Array, k: number, filter: Filter) =>
      json<FoundPicture[]>("/api/nearest", { vector: [...vector], k, ...filter }),
    browse: (from: number, count: number, filter: Filter) =>
      json<{ found: FoundPicture[]; total: number }>("/api/browse", { from, count, ...filter }),
    name: (row: number) => json<FoundPicture>(`/api/name/${row}`),
    thumbnail: (row: number) => `/thumbnail/${row}?${new URLSearchParams({ version })}`,
    async map(): Promise<PictureMap | number | undefined> {
      const response = await ask("/api/map");
      if (response.status === 204) return undefined;
      if (response.status === 202) return ((await response.json()) as { done: number }).done;
      return readMap(await response.arrayBuffer());
    },
    training: () => json<Training>("/api/training"),
  };
}
