/** The view of one pair: its picture, its caption, and what is said of it. */

import { button, byId, make, number, pressed } from "../../../core/page/dom.js";
import type { ItemMessage, OpinionMessage, SetMessage } from "../protocol.js";
import { pictureAddress } from "./api.js";

/** Classes that have a key. */
export const KEYED_CLASSES = 9;

export interface SingleView {
  readonly set: SetMessage;
  readonly scoresShown: () => boolean;
  readonly onClass: (label: string) => void;
}

const picture = byId<HTMLImageElement>("picture");
const broken = byId("broken");
let expected = -1;

picture.addEventListener("error", () => {
  if (picture.hasAttribute("src")) showBroken("This picture cannot be read.");
});

function showBroken(text: string): void {
  picture.hidden = true;
  broken.hidden = false;
  broken.textContent = text;
}

/** Fills the view with `item`. */
export function showItem(item: ItemMessage, { set, scoresShown, onClass }: SingleView): void {
  const { row, key, source, caption, captions, label, mine } = item;
  if (row === null) {
    picture.removeAttribute("src");
    showBroken("The data have no picture of this name.");
  } else if (row !== expected || picture.hidden) {
    broken.hidden = true;
    picture.hidden = false;
    picture.src = pictureAddress(row, "full");
  }
  expected = row ?? -1;
  picture.alt = `Picture ${key}`;
  byId("where").textContent = `${source} · ${key}`;
  byId("caption").textContent = caption === "" ? "(no caption)" : caption;
  byId("others").replaceChildren(...captions.slice(0, 8).map((text) => make("li", {}, text)));
  byId("label").textContent = label ?? "none";
  byId("classes").replaceChildren(
    ...set.classes.slice(0, KEYED_CLASSES).map((name, i) => {
      const chip = button(
        { "aria-keyshortcuts": String(i + 1) },
        () => onClass(name),
        make("kbd", {}, String(i + 1)),
        ` ${name}`,
      );
      pressed(chip, name === (mine?.correctedLabel ?? label));
      return chip;
    }),
  );
  byId<HTMLInputElement>("class").value = "";
  pressed(byId("keep"), mine?.answer === "keep");
  pressed(byId("drop"), mine?.answer === "drop");
  const said = byId("said");
  said.hidden = mine === null;
  said.replaceChildren(
    ...(mine === null
      ? []
      : [opinion("You", mine), ...item.others.map((each) => opinion(each.reviewer, each))]),
  );
  showScores(item, scoresShown());
}

const opinion = (who: string, { answer, correctedCaption, correctedLabel }: OpinionMessage): HTMLElement =>
  make(
    "div",
    {},
    make("b", {}, who),
    `: ${answer}`,
    correctedCaption === undefined ? "" : ` as “${correctedCaption}”`,
    correctedLabel === undefined ? "" : `, class ${correctedLabel}`,
  );

/** Scores, and what the selection says: hidden unless asked for. */
export function showScores({ scores, keep, reason }: ItemMessage, shown: boolean): void {
  const list = byId("scores");
  list.hidden = !shown;
  const row = (name: string, value: string): HTMLElement =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value));
  list.replaceChildren(
    row("selection", keep ? "keeps it" : `drops it${reason === null ? "" : `: ${reason}`}`),
    ...Object.entries(scores).map(([name, value]) => row(name, value === null ? "unknown" : number(value))),
  );
}

/** Fetches pictures that will be shown soon. */
export function preload(items: readonly ItemMessage[]): void {
  for (const { row } of items.slice(0, 3)) {
    if (row !== null) new Image().src = pictureAddress(row, "full");
  }
}
