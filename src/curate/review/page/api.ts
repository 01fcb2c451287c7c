/** What the page asks of its server, each as one function. */

import type {
  AgreementMessage,
  GroupsMessage,
  ItemMessage,
  ItemsMessage,
  ProgressMessage,
  SetMessage,
  TroubleMessage,
  UndoReply,
  VerdictMessage,
  VerdictReply,
} from "../protocol.js";

const NAME = "clipwright reviewer";
let reviewer = "";

/** The name from the last visit; empty without one. */
export function rememberedName(): string {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

export function setReviewer(name: string): void {
  reviewer = name;
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // A browser that keeps nothing asks again next time.
  }
}

export const reviewerName = (): string => reviewer;

async function ask<T>(path: string, body?: unknown): Promise<T | undefined> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        "x-reviewer": encodeURIComponent(reviewer),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Error("The server does not answer. Nothing was taken down; try again when it runs.");
  }
  if (response.status === 204) return undefined;
  if (!response.ok) {
    const trouble = (await response.json().catch(() => undefined)) as TroubleMessage | undefined;
    throw new Error(trouble?.error ?? `The server refused (${response.status}).`);
  }
  return (await response.json()) as T;
}

async function need<T>(path: string, body?: unknown): Promise<T> {
  const answer = await ask<T>(path, body);
  if (answer === undefined) throw new Error("The server sent nothing.");
  return answer;
}

export const getSet = () => need<SetMessage>("/api/set");
export const getItems = (query: URLSearchParams) => need<ItemsMessage>(`/api/items?${query}`);
export const getItem = (item: number) => need<ItemMessage>(`/api/items/${item}`);
export const getGroups = (from: number) => need<GroupsMessage>(`/api/groups?from=${from}`);
export const getAgreement = () => need<AgreementMessage>("/api/agreement");
/** Undefined when nothing has changed since `version`. */
export const getProgress = (version: number) => ask<ProgressMessage>(`/api/progress?version=${version}`);
export const postVerdict = (verdict: VerdictMessage) => need<VerdictReply>("/api/verdicts", verdict);
export const postUndo = () => need<UndoReply>("/api/undo", {});
export const pictureAddress = (row: number, size: "grid" | "full"): string => `/picture/${row}?size=${size}`;
