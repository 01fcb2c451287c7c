/** What the page does: pictures found by words, by a picture or by classes, as a grid and on a map. */

import { button, byId, make, number, pressed, tell } from "../../core/page/dom.js";
import type { Filter } from "../search/filter.js";
import { Classes, namesIn } from "./classes.js";
import { showDetail } from "./detail.js";
import { Grid, percent, wordsOf } from "./grid.js";
import { COLOURS, MapView } from "./map-view.js";
import type { Description, FoundPicture, PictureSource } from "./source.js";
import { showTraining } from "./training-view.js";

/** Pictures at a time. */
const PORTION = 60;
/** How long the keyboard rests before what was typed is taken. */
const REST_MS = 350;
const MAP_MS = 700;
const TRAINING_MS = 2000;

type Query =
  | { readonly kind: "all" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "picture"; readonly picture: Blob }
  | { readonly kind: "row"; readonly picture: FoundPicture }
  | { readonly kind: "class"; readonly name: string };

const words = byId<HTMLInputElement>("words");
const file = byId<HTMLInputElement>("file");
const label = byId<HTMLSelectElement>("label");
const holds = byId<HTMLInputElement>("holds");
const classNames = byId<HTMLTextAreaElement>("classes");
const template = byId<HTMLInputElement>("template");
const detail = byId("detail");

export class Page {
  private description: Description | undefined;
  private query: Query = { kind: "all" };
  private vector: Float32Array | undefined;
  private found: FoundPicture[] = [];
  private total = 0;
  private open: FoundPicture | undefined;
  /** Counts questions: an answer to one that is not the last is passed over. */
  private asked = 0;
  private mapWanted = false;
  private readonly grid: Grid;
  private readonly map: MapView;
  private readonly classes: Classes;

  constructor(private readonly source: PictureSource) {
    this.grid = new Grid(byId("pictures"), source, (picture) => void this.show(picture));
    this.map = new MapView(byId<HTMLCanvasElement>("map"), source, {
      open: (row) => void this.try(async () => this.show(await source.name(row))),
    });
    this.classes = new Classes(source, () => this.description?.scale.value ?? 1);
    this.listen();
  }

  async start(): Promise<void> {
    await this.try(async () => {
      this.take(await this.source.describe());
      const { text } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
      words.value = text ?? "";
      await this.ask(text ? { kind: "text", text } : { kind: "all" });
    });
    if (this.description?.follows === true) void this.follow();
  }

  private take(description: Description): void {
    this.description = description;
    byId("model").textContent = description.model;
    byId("calibrated").textContent = `They are ${description.scale.about}.`;
    byId("label-field").hidden = description.labels.length === 0;
    const chosen = label.value;
    label.replaceChildren(
      make("option", { value: "" }, "any"),
      ...description.labels.map((each) => make("option", { value: each }, each)),
    );
    label.value = description.labels.includes(chosen) ? chosen : "";
    // Labels that are nearly all different tell no groups: eight of them would be coloured dots among thousands.
    const { labels, rows } = description;
    const groups = 2 * labels.length > rows ? [] : labels.slice(0, COLOURS);
    this.map.colours = groups.length;
    byId("legend").replaceChildren(...groups.map((each, c) => make("li", { class: `k${c}` }, each)));
    byId("choose").hidden = this.source.embedPicture === undefined;
  }

  private get filter(): Filter {
    return {
      ...(label.value !== "" && { label: label.value }),
      ...(holds.value.trim() !== "" && { words: holds.value.trim() }),
    };
  }

  /** Asks for what `query` finds. */
  private async ask(query: Query): Promise<void> {
    this.query = query;
    this.vector = undefined;
    history.replaceState(
      null,
      "",
      query.kind === "text" ? `#${new URLSearchParams({ text: query.text })}` : location.pathname,
    );
    await this.refresh();
  }

  private async refresh(): Promise<void> {
    const mine = ++this.asked;
    document.body.classList.add("busy");
    try {
      const { query, filter } = this;
      const { found, total } =
        query.kind === "all"
          ? await this.source.browse(0, PORTION, filter)
          : await this.nearest(query, PORTION, filter);
      if (mine !== this.asked) return;
      this.found = found;
      this.total = total;
      this.grid.show(found);
      this.tellAbout();
      await this.judge();
      if (mine === this.asked) this.mark();
    } finally {
      if (mine === this.asked) document.body.classList.remove("busy");
    }
  }

  private async nearest(query: Exclude<Query, { kind: "all" }>, k: number, filter: Filter) {
    this.vector ??= await this.vectorOf(query);
    const found = await this.source.nearest(this.vector, k, filter);
    return { found, total: found.length < k ? found.length : this.description!.rows };
  }

  private async vectorOf(query: Exclude<Query, { kind: "all" }>): Promise<Float32Array> {
    switch (query.kind) {
      case "text":
        return (await this.source.embedTexts([query.text]))[0]!;
      case "picture":
        return this.source.embedPicture!(query.picture);
      case "row":
        return (await this.source.vectors([query.picture.row]))[0]!;
      case "class":
        return this.classes.vectorOf(query.name)!;
    }
  }

  private async more(): Promise<void> {
    const mine = this.asked;
    const { query, filter, found } = this;
    const next =
      query.kind === "all"
        ? (await this.source.browse(found.length, PORTION, filter)).found
        : (await this.nearest(query, found.length + PORTION, filter)).found.slice(found.length);
    if (mine !== this.asked) return;
    this.found = [...found, ...next];
    this.grid.show(next, true);
    this.tellAbout(next.length < PORTION);
    await this.judge();
    this.mark();
  }

  /** Says what is shown, above it. */
  private tellAbout(isAll = this.found.length < PORTION): void {
    const { query, found, total } = this;
    const about = byId("about-query");
    about.hidden = query.kind !== "picture" && query.kind !== "row" && query.kind !== "class";
    const clear = button({}, () => void this.try(() => this.ask({ kind: "all" })), "Show all");
    if (query.kind === "row") {
      const image = make("img", { alt: "" });
      void Promise.resolve(this.source.thumbnail(query.picture.row)).then((address) => {
        image.src = address;
      });
      about.replaceChildren(
        image,
        make("p", { lang: "" }, "Like ", make("b", {}, wordsOf(query.picture))),
        clear,
      );
    } else if (query.kind === "picture") {
      about.replaceChildren(
        this.preview(query.picture),
        make("p", {}, "Like the picture that you gave"),
        clear,
      );
    } else if (query.kind === "class") {
      about.replaceChildren(make("p", {}, "Nearest to the class ", make("b", {}, query.name)), clear);
    }
    const shown = number(found.length);
    const count =
      found.length === 0
        ? this.description?.rows === 0
          ? "There are no pictures before the first checkpoint."
          : "No picture passes the filter."
        : query.kind === "all"
          ? `${shown} of ${total.toLocaleString("en-US")} pictures`
          : `The ${shown} nearest`;
    byId("told-count").textContent = count;
    byId("more").hidden = isAll || (query.kind === "all" && found.length >= total);
  }

  /** A small picture of what was given; nothing of it leaves the page but to be embedded. */
  private preview(picture: Blob): HTMLCanvasElement {
    const canvas = make("canvas", { width: "0", height: "0" });
    void createImageBitmap(picture).then(
      (bitmap) => {
        const scale = 96 / Math.max(bitmap.width, bitmap.height);
        canvas.width = Math.round(bitmap.width * scale);
        canvas.height = Math.round(bitmap.height * scale);
        canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      },
      () => undefined, // a format that the model reads and this browser does not
    );
    return canvas;
  }

  /** Probabilities of the classes on what is shown. */
  private async judge(): Promise<void> {
    const { classes, grid } = this;
    await classes.know([...grid.rows, ...(this.open === undefined ? [] : [this.open.row])]);
    grid.setBadges((row) => classes.guesses(row)[0]);
    const shares = byId("class-shares");
    shares.hidden = classes.names.length === 0 || grid.rows.length === 0;
    const counts = new Map(classes.names.map((name) => [name, 0]));
    for (const row of grid.rows) {
      const name = classes.guesses(row)[0]?.name;
      if (name !== undefined) counts.set(name, counts.get(name)! + 1);
    }
    shares.replaceChildren(
      ...classes.names.map((name) => {
        const is = this.query.kind === "class" && this.query.name === name;
        const chip = button(
          { "aria-pressed": String(is), title: "Show the pictures nearest to this class" },
          () => void this.try(() => this.ask(is ? { kind: "all" } : { kind: "class", name })),
          name,
          make("span", { class: "quiet" }, ` ${percent(counts.get(name)! / Math.max(1, grid.rows.length))}`),
        );
        return chip;
      }),
    );
    if (this.open !== undefined) await this.fillDetail(this.open);
  }

  private async takeClasses(): Promise<void> {
    const names = namesIn(classNames.value);
    await this.classes.set(names, template.value);
    if (this.query.kind === "class" && this.classes.vectorOf(this.query.name) === undefined) {
      await this.ask({ kind: "all" });
    } else await this.judge();
  }

  private async show(picture: FoundPicture): Promise<void> {
    await this.try(async () => {
      this.open = picture;
      await this.classes.know([picture.row]);
      await this.fillDetail(picture);
      detail.hidden = false;
      document.body.classList.add("open");
      this.mark();
      if (matchMedia("(max-width: 820px)").matches) detail.scrollIntoView({ block: "nearest" });
    });
  }

  private fillDetail(picture: FoundPicture): Promise<void> {
    return showDetail(detail, picture, this.source, this.classes.guesses(picture.row), {
      similar: (like) => void this.similar(like),
      close: () => this.close(),
    });
  }

  private async similar(picture: FoundPicture): Promise<void> {
    words.value = "";
    await this.try(() => this.ask({ kind: "row", picture }));
    if (!byId("grid-view").hidden) this.grid.focus();
  }

  private close(): void {
    const { open } = this;
    this.open = undefined;
    detail.hidden = true;
    document.body.classList.remove("open");
    this.mark();
    if (open !== undefined && !byId("grid-view").hidden) this.grid.focusRow(open.row);
  }

  private mark(): void {
    this.grid.setCurrent(this.open?.row);
    this.map.mark(
      this.query.kind === "all" && this.total === this.description?.rows ? [] : this.grid.rows,
      this.open?.row,
    );
  }

  private view(isMap: boolean): void {
    byId("map-view").hidden = !isMap;
    byId("grid-view").hidden = isMap;
    pressed(byId("show-map"), isMap);
    pressed(byId("show-grid"), !isMap);
    if (isMap && !this.mapWanted) void this.fetchMap();
    if (isMap) byId("map").focus();
  }

  private async fetchMap(): Promise<void> {
    this.mapWanted = true;
    const state = byId("map-state");
    byId("map").setAttribute("aria-busy", "true");
    await this.try(async () => {
      for (;;) {
        const map = await this.source.map();
        if (typeof map === "number") {
          state.textContent = `Laying the map out, once … ${percent(map)}`;
          await new Promise((resolve) => setTimeout(resolve, MAP_MS));
          continue;
        }
        const some = map !== undefined && map.rows.length < this.description!.rows;
        state.textContent =
          map === undefined
            ? "There are too few pictures for a map."
            : some
              ? `${number(map.rows.length)} of the pictures, evenly chosen`
              : "";
        if (map !== undefined) this.map.show(map);
        byId("map").setAttribute("aria-busy", "false");
        return;
      }
    });
  }

  /** Looks again and again how the run goes, and shows its newest pictures. */
  private async follow(): Promise<void> {
    for (;;) {
      try {
        showTraining(byId("training"), await this.source.training!());
        const description = await this.source.describe();
        if (description.version !== this.description?.version) {
          this.take(description);
          this.classes.clear();
          this.vector = undefined;
          this.mapWanted = false;
          await this.classes.set(namesIn(classNames.value), template.value);
          await this.refresh();
          if (!byId("map-view").hidden) await this.fetchMap();
          tell(`Pictures of ${description.model}`);
        }
        this.trouble("");
      } catch (error) {
        this.trouble(error instanceof Error ? error.message : String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, TRAINING_MS));
    }
  }

  private async try(does: () => Promise<void>): Promise<void> {
    this.trouble("");
    try {
      await does();
    } catch (error) {
      this.trouble(error instanceof Error ? error.message : String(error));
    }
  }

  private trouble(text: string): void {
    byId("trouble").textContent = text;
  }

  private listen(): void {
    const search = () =>
      this.try(() =>
        this.ask(words.value.trim() === "" ? { kind: "all" } : { kind: "text", text: words.value.trim() }),
      );
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      void search();
    });
    words.addEventListener("input", rested(search));
    label.addEventListener("change", () => void this.try(() => this.refresh()));
    holds.addEventListener(
      "input",
      rested(() => this.try(() => this.refresh())),
    );
    const take = rested(() => this.try(() => this.takeClasses()));
    classNames.addEventListener("input", take);
    template.addEventListener("input", take);
    byId("class-form").addEventListener("submit", (event) => event.preventDefault());
    byId("more").addEventListener("click", () => void this.try(() => this.more()));
    byId("show-map").addEventListener("click", () => this.view(true));
    byId("show-grid").addEventListener("click", () => this.view(false));
    byId("nearer").addEventListener("click", this.map.nearer);
    byId("farther").addEventListener("click", this.map.farther);
    byId("whole").addEventListener("click", () => this.map.whole());
    byId("show-help").addEventListener("click", () => byId<HTMLDialogElement>("help").showModal());
    byId("choose").addEventListener("click", () => file.click());
    file.addEventListener("change", () => void this.give(file.files?.[0]));
    this.listenToDrops();
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  private async give(picture: Blob | undefined): Promise<void> {
    if (picture === undefined || this.source.embedPicture === undefined) return;
    words.value = "";
    await this.try(() => this.ask({ kind: "picture", picture }));
    file.value = "";
  }

  private listenToDrops(): void {
    const drop = byId("drop");
    const holdsFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true;
    document.addEventListener("dragover", (event) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      drop.hidden = false;
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) drop.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      drop.hidden = true;
      void this.give(event.dataTransfer?.files[0]);
    });
    document.addEventListener("paste", (event) => void this.give(event.clipboardData?.files[0]));
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") !== null)
      return;
    const target = event.target as HTMLElement;
    if (event.key === "Escape") {
      if (this.open !== undefined) this.close();
      else if (this.query.kind !== "all") {
        words.value = "";
        void this.try(() => this.ask({ kind: "all" }));
      }
      return;
    }
    if (target.matches("input, textarea, select")) return;
    const does: Readonly<Record<string, () => void>> = {
      "/": () => words.select(),
      m: () => this.view(byId("map-view").hidden === true),
      c: () => {
        byId<HTMLDetailsElement>("class-part").open = true;
        classNames.focus();
      },
      s: () => void (this.open !== undefined && this.similar(this.open)),
      "?": () => byId<HTMLDialogElement>("help").showModal(),
    };
    const act = does[event.key.toLowerCase()];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }
}

/** `does` once nothing was typed for a while. */
function rested(does: () => Promise<void>): () => void {
  let waiting: ReturnType<typeof setTimeout> | undefined;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => void does(), REST_MS);
  };
}
