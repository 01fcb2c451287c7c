/** What stands around the pair: progress, filter, agreement, help. */

import { button, byId, make, number } from "../../../core/page/dom.js";
import type { AgreementMessage, ProgressMessage, SetMessage } from "../protocol.js";
import { getAgreement } from "./api.js";

const percent = (share: number): string =>
  share > 0 && share < 0.01 ? `${(100 * share).toFixed(1)} %` : `${Math.round(100 * share)} %`;

/** Writes how far the review is, and what the others do. */
export function showProgress(progress: ProgressMessage, reviewer: string): void {
  const { items, decided, conflicts, reviewers, left, stopAt, over } = progress;
  const bar = byId<HTMLProgressElement>("bar");
  bar.max = Math.max(1, items);
  bar.value = decided;
  const mine = reviewers.find(({ name }) => name === reviewer)?.verdicts ?? 0;
  const others = reviewers
    .filter(({ name }) => name !== reviewer)
    .map(({ name, verdicts }) => `${name} ${number(verdicts)}`);
  const parts = [
    `${decided.toLocaleString("en-US")} of ${items.toLocaleString("en-US")} decided`,
    `you ${number(mine)}${others.length > 0 ? `, ${others.slice(0, 6).join(", ")}` : ""}`,
    ...(conflicts > 0 ? [conflicts === 1 ? "1 conflict" : `${number(conflicts)} conflicts`] : []),
    ...(left === null
      ? []
      : [
          `about ${number(Math.round(left.value))} faults left (${number(Math.floor(left.low))} to ${number(Math.ceil(left.high))})`,
          ...(over ? [`at most ${percent(stopAt)} of the rest is at fault: you may stop`] : []),
        ]),
  ];
  const text = parts.join(" · ");
  const line = byId("progress");
  // A screen reader says what changes; nothing is said twice.
  if (line.textContent !== text) line.textContent = text;
}

/** Fills the choices of the filter; parts that the set has nothing for are left out. */
export function fillFilter({ reasons, scores }: SetMessage): void {
  const form = byId<HTMLFormElement>("filter");
  const reason = form.elements.namedItem("reason") as HTMLSelectElement;
  reason.append(...reasons.map((name) => make("option", { value: name }, name)));
  byId("reason-field").hidden = reasons.length === 0;
  const score = form.elements.namedItem("score") as HTMLSelectElement;
  score.append(...scores.map(({ name, about }) => make("option", { value: name, title: about }, name)));
  byId("score-field").hidden = scores.length === 0;
  const low = form.elements.namedItem("low") as HTMLInputElement;
  const high = form.elements.namedItem("high") as HTMLInputElement;
  const hint = (): void => {
    const chosen = scores.find(({ name }) => name === score.value);
    low.placeholder = chosen === undefined ? "" : number(chosen.low);
    high.placeholder = chosen === undefined ? "" : number(chosen.high);
  };
  score.addEventListener("change", hint);
  hint();
}

/** The filter as a query of items. */
export function filterQuery(): URLSearchParams {
  const given = new FormData(byId<HTMLFormElement>("filter"));
  const query = new URLSearchParams();
  const value = (name: string): string => String(given.get(name) ?? "").trim();
  query.set("status", value("status") || "next");
  for (const name of ["text", "reason", "low", "high"]) if (value(name) !== "") query.set(name, value(name));
  if (query.has("low") || query.has("high")) query.set("score", value("score"));
  return query;
}

/** Whether the filter lets everything through. */
export const isOpenFilter = (query: URLSearchParams): boolean =>
  query.get("status") === "next" && [...query.keys()].length === 1;

/** Opens the dialog of agreement. @param onConflict what a click on a conflict does. */
export async function showAgreement(onConflict: (item: number) => void): Promise<void> {
  const dialog = byId<HTMLDialogElement>("agreement");
  const message: AgreementMessage = await getAgreement();
  byId("agreement-text").replaceChildren(...message.sentences.map((text) => make("p", {}, text)));
  const [heading, ...rows] = message.reviewers;
  byId("reviewers").replaceChildren(
    make("thead", {}, make("tr", {}, ...(heading ?? []).map((cell) => make("th", { scope: "col" }, cell)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))),
  );
  const conflicts = message.conflicts.map(({ item, key, said }) => {
    const open = button(
      {},
      () => {
        dialog.close();
        onConflict(item);
      },
      key,
    );
    return make("li", {}, open, said);
  });
  byId("conflicts").replaceChildren(
    ...(conflicts.length === 0 ? [] : [make("h3", {}, "Conflicts"), make("ul", {}, ...conflicts)]),
  );
  dialog.showModal();
}
