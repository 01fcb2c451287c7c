/** Pictures in rows, walked through by arrows. */

import { button, make } from "../../core/page/dom.js";
import type { FoundPicture, PictureSource } from "./source.js";

/** What stands under a picture: its caption, else its label, else its name. */
export const wordsOf = ({ captions, label, key }: FoundPicture): string => captions[0] ?? label ?? key;

/** How likely a class is, for people. */
export const percent = (share: number): string =>
  `${(100 * share).toFixed(share > 0 && share < 1 && (share >= 0.995 || share < 0.0995) ? 1 : 0)} %`;

interface Card {
  readonly picture: FoundPicture;
  readonly element: HTMLButtonElement;
  readonly badge: HTMLElement;
}

export class Grid {
  private cards: Card[] = [];
  private at = 0;

  constructor(
    private readonly list: HTMLElement,
    private readonly source: Pick<PictureSource, "thumbnail">,
    private readonly open: (picture: FoundPicture) => void,
  ) {
    list.addEventListener("keydown", (event) => this.onKey(event));
  }

  get rows(): number[] {
    return this.cards.map(({ picture }) => picture.row);
  }

  /** Shows other pictures, or more behind those that are shown. */
  show(pictures: readonly FoundPicture[], more = false): void {
    if (!more) {
      this.cards = [];
      this.at = 0;
      this.list.replaceChildren();
    }
    for (const picture of pictures) this.add(picture);
    this.setStop(this.at);
  }

  /** Writes of each row its likeliest class on its picture; none where it is not known. */
  setBadges(of: (row: number) => { readonly name: string; readonly probability: number } | undefined): void {
    for (const { picture, badge } of this.cards) {
      const guess = of(picture.row);
      badge.hidden = guess === undefined;
      badge.textContent = guess === undefined ? "" : `${guess.name} ${percent(guess.probability)}`;
    }
  }

  setCurrent(row: number | undefined): void {
    for (const { picture, element } of this.cards) {
      if (picture.row === row) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    }
  }

  focus(): void {
    this.cards[this.at]?.element.focus();
  }

  /** The keyboard goes on at a row's picture. */
  focusRow(row: number): void {
    const place = this.cards.findIndex(({ picture }) => picture.row === row);
    if (place < 0) return;
    this.setStop(place);
    this.focus();
  }

  private add(picture: FoundPicture): void {
    const words = wordsOf(picture);
    const image = make("img", { alt: "", loading: "lazy", decoding: "async" });
    void Promise.resolve(this.source.thumbnail(picture.row)).then((address) => {
      image.src = address;
    });
    const badge = make("span", { class: "badge" });
    badge.hidden = true;
    const score =
      picture.score === undefined ? [] : [make("span", { class: "score" }, picture.score.toFixed(3))];
    const place = this.cards.length;
    const element = button(
      { class: "card", tabindex: "-1" },
      () => {
        this.setStop(place);
        this.open(picture);
      },
      make("span", { class: "frame" }, image, badge),
      make("span", { class: "words", lang: "" }, words),
      ...score,
    );
    this.cards.push({ picture, element, badge });
    this.list.append(make("li", {}, element));
  }

  /** One picture at a time is a stop of the Tab key. */
  private setStop(place: number): void {
    this.cards[this.at]?.element.setAttribute("tabindex", "-1");
    this.at = Math.max(0, Math.min(place, this.cards.length - 1));
    this.cards[this.at]?.element.setAttribute("tabindex", "0");
  }

  private onKey(event: KeyboardEvent): void {
    const columns = this.columns();
    const steps: Readonly<Record<string, number>> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -this.cards.length,
      End: this.cards.length,
    };
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.setStop(this.at + step);
    this.focus();
  }

  private columns(): number {
    const top = this.cards[0]?.element.getBoundingClientRect().top;
    const next = this.cards.findIndex(({ element }) => element.getBoundingClientRect().top !== top);
    return next < 0 ? this.cards.length : next;
  }
}
