/** The view of pairs taken for copies: a grid a group, each picture compared with the first. */

import { button, byId, make, pressed, tell } from "../../../core/page/dom.js";
import type { GroupMessage, ItemMessage, PageAnswer, ProgressMessage } from "../protocol.js";
import { getGroups, pictureAddress, postUndo, postVerdict } from "./api.js";

export interface CopiesView {
  readonly onProgress: (progress: ProgressMessage) => void;
  readonly scoresShown: () => boolean;
}

const groups = byId("groups");
const more = byId<HTMLButtonElement>("more");

export class Copies {
  private next: number | null = 0;
  private loading = false;

  constructor(private readonly view: CopiesView) {
    more.addEventListener("click", () => void this.load());
  }

  /** Shows the groups from the first on. */
  async open(): Promise<void> {
    groups.replaceChildren();
    this.next = 0;
    await this.load();
    this.members()[0]?.focus();
  }

  private async load(): Promise<void> {
    if (this.next === null || this.loading) return;
    this.loading = true;
    try {
      const { groups: got, next } = await getGroups(this.next);
      groups.append(...got.map((group) => this.group(group)));
      this.next = next;
      more.hidden = next === null;
    } catch (error) {
      this.trouble((error as Error).message);
    } finally {
      this.loading = false;
    }
  }

  private trouble(text: string): void {
    byId("copies-trouble").textContent = text;
  }

  private group({ group, members, answers }: GroupMessage): HTMLElement {
    const [first, ...others] = members;
    return make(
      "section",
      { class: "group", "aria-label": `Group ${group + 1}`, id: `group-${group}` },
      make("b", {}, `Group ${group + 1}`),
      make(
        "div",
        { class: "members" },
        this.member(first!, undefined, null),
        ...others.map((each, i) => this.member(each, first!, answers[i] ?? null)),
      ),
    );
  }

  private member(item: ItemMessage, first: ItemMessage | undefined, answer: PageAnswer | null): HTMLElement {
    const { row, key, caption } = item;
    const card = make("div", {
      class: "member",
      tabindex: "0",
      role: "group",
      "aria-label": `Picture ${key}`,
    });
    if (row !== null) {
      card.append(make("img", { src: pictureAddress(row, "grid"), alt: `Picture ${key}`, loading: "lazy" }));
    }
    card.append(make("p", {}, caption));
    if (first === undefined) {
      card.classList.add("first");
      card.append(make("b", {}, "The first: is the rest the same?"));
      return card;
    }
    const judge = (said: "same" | "different"): void => void this.judge(card, first, item, said);
    const same = button({ "aria-keyshortcuts": "S" }, () => judge("same"), "Same");
    const different = button({ "aria-keyshortcuts": "D" }, () => judge("different"), "Different");
    card.append(make("div", { class: "row" }, same, different));
    card.dataset.answers = "yes";
    card.addEventListener("keydown", (event) => {
      const key = event.key.toLowerCase();
      if (event.ctrlKey || event.metaKey || event.altKey || (key !== "s" && key !== "d")) return;
      event.preventDefault();
      event.stopPropagation();
      judge(key === "s" ? "same" : "different");
    });
    mark(card, answer);
    return card;
  }

  private async judge(
    card: HTMLElement,
    first: ItemMessage,
    item: ItemMessage,
    answer: "same" | "different",
  ) {
    try {
      const scoresShown = this.view.scoresShown();
      const { progress } = await postVerdict({ item: first.item, other: item.item, answer, scoresShown });
      mark(card, answer);
      this.trouble("");
      tell(answer === "same" ? "The same. U takes it back." : "Different. U takes it back.");
      this.view.onProgress(progress);
      this.step(card, 1);
    } catch (error) {
      this.trouble((error as Error).message);
    }
  }

  /** Takes the last verdict back and shows how things stand. */
  async undo(): Promise<void> {
    try {
      const { group, progress } = await postUndo();
      this.view.onProgress(progress);
      if (group === null) {
        tell("There was nothing to take back here.");
        return;
      }
      const got = (await getGroups(group)).groups[0];
      const old = document.getElementById(`group-${group}`);
      if (got !== undefined && old !== null) {
        const fresh = this.group(got);
        old.replaceWith(fresh);
        fresh.querySelector<HTMLElement>("[data-answers]")?.focus();
      }
      tell("Taken back.");
    } catch (error) {
      this.trouble((error as Error).message);
    }
  }

  private members(): HTMLElement[] {
    return [...groups.querySelectorAll<HTMLElement>("[data-answers]")];
  }

  private step(from: Element, by: number): void {
    const all = this.members();
    const at = all.indexOf(from as HTMLElement);
    const next = all[at + by];
    if (next !== undefined) next.focus();
    else if (by > 0 && this.next !== null) void this.load().then(() => this.members()[at + 1]?.focus());
  }

  /** Moves by the arrow keys; true when it was one. */
  arrow(key: string): boolean {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
    if (by === undefined) return false;
    const card = document.activeElement?.closest("[data-answers]");
    if (card === null || card === undefined) this.members()[0]?.focus();
    else this.step(card, by);
    return true;
  }
}

function mark(card: HTMLElement, answer: PageAnswer | null): void {
  card.classList.toggle("same", answer === "same");
  card.classList.toggle("different", answer === "different");
  const [same, different] = card.querySelectorAll("button");
  if (same !== undefined) pressed(same, answer === "same");
  if (different !== undefined) pressed(different, answer === "different");
}
