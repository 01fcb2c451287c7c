/** One picture, large: its words, and how likely each class is. */

import { button, make } from "../../core/page/dom.js";
import type { Guess } from "./classes.js";
import { percent } from "./grid.js";
import type { FoundPicture, PictureSource } from "./source.js";

export interface DetailActions {
  similar(picture: FoundPicture): void;
  close(): void;
}

/** Classes with their probabilities, as bars. */
export function bars(guesses: readonly Guess[]): HTMLElement {
  const rows = guesses.map(({ name, probability }) => {
    const bar = make("span", { class: "bar" });
    bar.style.setProperty("--share", String(probability));
    return make(
      "li",
      {},
      make("span", { class: "class" }, name),
      make("span", { class: "share" }, percent(probability)),
      bar,
    );
  });
  return make("ul", { class: "bars", "aria-label": "Classes" }, ...rows);
}

/** Fills `panel` with a picture. */
export async function showDetail(
  panel: HTMLElement,
  picture: FoundPicture,
  source: Pick<PictureSource, "thumbnail">,
  guesses: readonly Guess[],
  actions: DetailActions,
): Promise<void> {
  const { captions, label, key, score } = picture;
  const facts: [string, string][] = [["Name", key]];
  if (label !== undefined) facts.push(["Label", label]);
  if (score !== undefined) facts.push(["Score", score.toFixed(3)]);
  const image = make("img", { alt: captions[0] ?? label ?? key });
  panel.replaceChildren(
    make("figure", {}, image),
    ...captions.map((caption) => make("p", { class: "caption", lang: "" }, caption)),
    ...(guesses.length === 0 ? [] : [bars(guesses)]),
    make(
      "dl",
      { class: "facts" },
      ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    ),
    make(
      "div",
      { class: "row" },
      button(
        { class: "primary", "aria-keyshortcuts": "S" },
        () => actions.similar(picture),
        "Similar pictures",
      ),
      button({ "aria-keyshortcuts": "Escape" }, () => actions.close(), "Close"),
    ),
  );
  image.src = await source.thumbnail(picture.row);
}
