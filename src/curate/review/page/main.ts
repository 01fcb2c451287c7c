/** The review's page: asks who reviews, shows pair after pair, and takes verdicts by keys and buttons. */

import { byId, make, pressed, tell } from "../../../core/page/dom.js";
import type { ItemMessage, PageAnswer, ProgressMessage, SetMessage } from "../protocol.js";
import * as api from "./api.js";
import { Copies } from "./copies.js";
import { fillFilter, filterQuery, isOpenFilter, showAgreement, showProgress } from "./panels.js";
import { KEYED_CLASSES, preload, type SingleView, showItem, showScores } from "./single.js";

/** Items are fetched while so few are left. */
const AHEAD = 4;
/** How often others' progress is asked for. Polling, since a browser has few connections to one host to keep open. */
const POLL_MS = 2000;

const edit = byId<HTMLFormElement>("edit");
const correction = byId<HTMLTextAreaElement>("correction");
const filter = byId<HTMLFormElement>("filter");
const scoresSwitch = byId<HTMLInputElement>("scores-shown");

class Page {
  /** Items that were or will be shown, and which one is. */
  private items: ItemMessage[] = [];
  private at = 0;
  private query = new URLSearchParams({ status: "next" });
  /** Where a filter goes on; null at its end. */
  private from: number | null = 0;
  private fetching: Promise<void> | undefined;
  private version = -1;
  private busy = false;
  private inCopies = false;
  private readonly view: SingleView;
  private readonly copies: Copies;

  constructor(readonly set: SetMessage) {
    const scoresShown = (): boolean => scoresSwitch.checked;
    this.view = { set, scoresShown, onClass: (label) => void this.judgeClass(label) };
    this.copies = new Copies({ onProgress: (progress) => this.progress(progress), scoresShown });
  }

  async begin(): Promise<void> {
    fillFilter(this.set);
    byId("class-part").hidden = this.set.classes.length === 0;
    byId("class-list").replaceChildren(...this.set.classes.map((name) => make("option", { value: name })));
    byId("show-copies").hidden = this.set.groups === 0;
    this.listen();
    await this.restart();
    void this.poll();
  }

  private get item(): ItemMessage | undefined {
    return this.items[this.at];
  }

  /** Begins anew with the filter as it is. */
  private async restart(): Promise<void> {
    this.items = [];
    this.at = 0;
    this.from = 0;
    this.query = filterQuery();
    await this.fetchMore();
    this.show();
  }

  private async fetchMore(): Promise<void> {
    this.fetching ??= this.fetchOnce().finally(() => {
      this.fetching = undefined;
    });
    await this.fetching;
  }

  private async fetchOnce(): Promise<void> {
    if (this.from === null) return;
    const query = new URLSearchParams(this.query);
    const open = isOpenFilter(this.query);
    // What waits to be shown here is not handed out again.
    const ahead = this.items.slice(this.at).filter(({ mine }) => mine === null);
    const skipped = this.items.slice(Math.max(0, this.at - 40), this.at).filter(({ mine }) => mine === null);
    if (open) {
      const shown = [...skipped, ...ahead].map(({ item }) => item);
      if (shown.length > 0) query.set("shown", shown.join(","));
    } else query.set("from", String(this.from));
    try {
      const { items, next, total } = await api.getItems(query);
      this.items.push(...items);
      // Another reviewer's conflict may ask for more later: the queue is asked again, a filter's list ends.
      this.from = open ? 0 : next;
      byId("found").textContent = total === null ? "" : `${total.toLocaleString("en-US")} pairs`;
      preload(this.items.slice(this.at + 1));
    } catch (error) {
      this.trouble((error as Error).message);
    }
  }

  private show(): void {
    const { item } = this;
    this.closeEdit();
    byId("single").hidden = this.inCopies || item === undefined;
    byId("copies").hidden = !this.inCopies;
    byId("nothing").hidden = this.inCopies || item !== undefined;
    if (this.inCopies) return;
    if (item === undefined) {
      const open = isOpenFilter(this.query);
      byId("nothing-title").textContent = open ? "Nothing left for you" : "Nothing found";
      byId("nothing-text").textContent = open
        ? "Every pair has the opinions that it needs, or another reviewer has it on the screen."
        : "No pair fits the filter.";
      return;
    }
    showItem(item, this.view);
    byId<HTMLButtonElement>("back").disabled = this.at === 0;
    preload(this.items.slice(this.at + 1));
  }

  private trouble(text: string): void {
    byId("trouble").textContent = text;
    if (text !== "" && byId("single").hidden && !this.inCopies) tell(text);
  }

  private progress(progress: ProgressMessage): void {
    this.version = progress.version;
    showProgress(progress, api.reviewerName());
  }

  private async poll(): Promise<void> {
    if (!document.hidden) {
      try {
        const progress = await api.getProgress(this.version);
        if (progress !== undefined) this.progress(progress);
      } catch {
        // The next verdict says what is wrong.
      }
    }
    setTimeout(() => void this.poll(), POLL_MS);
  }

  /** One thing at a time: a key that is held down does not judge what was not seen. */
  private async once(does: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      await does();
    } catch (error) {
      this.trouble((error as Error).message);
    } finally {
      this.busy = false;
    }
  }

  private judge(
    answer: PageAnswer,
    corrected: { correctedCaption?: string; correctedLabel?: string } = {},
  ): Promise<void> {
    return this.once(async () => {
      const { item } = this;
      if (item === undefined) return;
      const { drawn, repeat } = item;
      const scoresShown = scoresSwitch.checked;
      const given = { item: item.item, answer, drawn, repeat, scoresShown, ...corrected };
      const { item: stands, progress } = await api.postVerdict(given);
      this.items[this.at] = stands;
      this.trouble("");
      this.progress(progress);
      const words = { keep: "Kept", drop: "Dropped" }[answer as "keep" | "drop"];
      const [changed] = Object.values(corrected);
      tell(`${words}${changed === undefined ? "" : ` as “${changed}”`}. U or Undo takes it back.`);
      await this.step();
    });
  }

  private async judgeClass(label: string): Promise<void> {
    if (label !== "") await this.judge("keep", { correctedLabel: label });
  }

  private async step(): Promise<void> {
    this.at = Math.min(this.at + 1, this.items.length);
    if (this.at >= this.items.length) await this.fetchMore();
    else if (this.items.length - this.at < AHEAD) void this.fetchMore();
    this.show();
  }

  private undo(): Promise<void> {
    return this.once(async () => {
      if (this.inCopies) return this.copies.undo();
      const { item, progress } = await api.postUndo();
      this.progress(progress);
      if (item === null) {
        tell("There is nothing to take back.");
        return;
      }
      const place = this.items.findLastIndex((each) => each.item === item.item);
      if (place >= 0) {
        this.items[place] = { ...item, drawn: this.items[place]!.drawn };
        this.at = place;
      } else this.items.splice(this.at, 0, item);
      this.trouble("");
      tell("Taken back.");
      this.show();
    });
  }

  private startEdit(): void {
    const { item } = this;
    if (item === undefined) return;
    edit.hidden = false;
    byId("caption").hidden = true;
    correction.value = item.mine?.correctedCaption ?? item.caption;
    correction.focus();
  }

  private closeEdit(): void {
    if (edit.hidden) return;
    const had = edit.contains(document.activeElement);
    edit.hidden = true;
    byId("caption").hidden = false;
    if (had) byId("main").focus({ preventScroll: true });
  }

  private saveEdit(): void {
    const text = correction.value.trim();
    if (text === "") {
      this.trouble("A caption cannot be empty: drop the pair instead.");
      return;
    }
    void this.judge("keep", { correctedCaption: text });
  }

  private async openCopies(open: boolean): Promise<void> {
    if (this.set.groups === 0) return;
    this.inCopies = open;
    pressed(byId("show-copies"), open);
    this.show();
    if (open) await this.copies.open();
  }

  private toggleFilter(): void {
    const open = filter.hidden;
    filter.hidden = !open;
    byId("show-filter").setAttribute("aria-expanded", String(open));
    if (open) (filter.elements.namedItem("status") as HTMLElement).focus();
    else byId("show-filter").focus();
  }

  private agreement(): void {
    void showAgreement((item) => void this.once(() => this.jump(item))).catch((error: Error) =>
      tell(error.message),
    );
  }

  private async jump(item: number): Promise<void> {
    this.items.splice(this.at, 0, await api.getItem(item));
    if (this.inCopies) await this.openCopies(false);
    this.show();
  }

  private toggleScores(): void {
    if (this.item !== undefined) showScores(this.item, scoresSwitch.checked);
  }

  private listen(): void {
    const on = (id: string, does: () => void): void => byId(id).addEventListener("click", does);
    on("keep", () => void this.judge("keep"));
    on("drop", () => void this.judge("drop"));
    on("correct", () => this.startEdit());
    on("undo", () => void this.undo());
    on("back", () => this.move(-1));
    on("forward", () => this.move(1));
    on("cancel", () => this.closeEdit());
    on("again", () => void this.once(() => this.restart()));
    on("show-filter", () => this.toggleFilter());
    on("show-copies", () => void this.openCopies(!this.inCopies));
    on("show-agreement", () => this.agreement());
    on("show-help", () => byId<HTMLDialogElement>("help").showModal());
    scoresSwitch.addEventListener("change", () => this.toggleScores());
    const submit = (form: HTMLElement, does: () => void): void =>
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        does();
      });
    submit(edit, () => this.saveEdit());
    submit(filter, () => void this.once(() => this.restart()));
    submit(byId("class-form"), () => void this.judgeClass(byId<HTMLInputElement>("class").value.trim()));
    // What is chosen from a list holds at once; what is typed when Enter says so.
    for (const name of ["status", "reason"]) {
      const choice = filter.elements.namedItem(name) as HTMLSelectElement;
      choice.addEventListener("change", () => void this.once(() => this.restart()));
    }
    filter.addEventListener("reset", () => setTimeout(() => void this.once(() => this.restart())));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  private move(by: number): void {
    void this.once(async () => {
      if (by > 0) return this.step();
      this.at = Math.max(0, this.at - 1);
      this.show();
    });
  }

  private key(event: KeyboardEvent): void {
    if (document.querySelector("dialog[open]") !== null || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    const typing = target.matches("input:not([type=checkbox]),textarea,select");
    const command = event.ctrlKey || event.metaKey;
    if (typing) {
      if (event.key === "Escape" && edit.contains(target)) this.closeEdit();
      else if (event.key === "Escape") byId("main").focus({ preventScroll: true });
      else if (event.key === "Enter" && command && target === correction) this.saveEdit();
      else return;
      event.preventDefault();
      return;
    }
    if (event.altKey || (command && event.key.toLowerCase() !== "z")) return;
    const does = this.shortcut(event.key, command);
    if (does === undefined) return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) does();
  }

  private shortcut(key: string, command: boolean): (() => void) | undefined {
    const letter = key.toLowerCase();
    if (command || letter === "u") return () => void this.undo();
    if (letter === "g" && this.set.groups > 0) return () => void this.openCopies(!this.inCopies);
    if (letter === "a") return () => this.agreement();
    if (letter === "f") return () => this.toggleFilter();
    if (key === "?") return () => byId<HTMLDialogElement>("help").showModal();
    if (this.inCopies) return key.startsWith("Arrow") ? () => void this.copies.arrow(key) : undefined;
    if (this.item === undefined) return undefined;
    const label = this.set.classes.slice(0, KEYED_CLASSES)[Number(key) - 1];
    if (/^[1-9]$/.test(key) && label !== undefined) return () => void this.judgeClass(label);
    const actions: Readonly<Record<string, () => void>> = {
      k: () => void this.judge("keep"),
      d: () => void this.judge("drop"),
      e: () => this.startEdit(),
      arrowleft: () => this.move(-1),
      arrowright: () => this.move(1),
      s: () => {
        scoresSwitch.checked = !scoresSwitch.checked;
        this.toggleScores();
      },
      ...(this.set.classes.length > 0 && { c: () => byId("class").focus() }),
    };
    return actions[letter];
  }
}

/** Asks for a name, unless this browser has given one before. */
async function whoReviews(): Promise<void> {
  const field = byId<HTMLInputElement>("name");
  field.value = api.rememberedName();
  const dialog = byId<HTMLDialogElement>("who");
  dialog.showModal();
  field.select();
  await new Promise<void>((resolve) => {
    // Escape would leave without a name.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    byId<HTMLFormElement>("who-form").addEventListener("submit", (event) => {
      if (field.value.trim() === "") event.preventDefault();
      else resolve();
    });
  });
  api.setReviewer(field.value.trim());
}

try {
  const set = await api.getSet();
  await whoReviews();
  const page = new Page(set);
  await page.begin();
  byId("main").focus({ preventScroll: true });
} catch (error) {
  tell((error as Error).message);
}
