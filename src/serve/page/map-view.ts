/** The map: pictures in a plane, as dots from afar and as pictures from near. */

import type { PictureMap } from "../search/layout.js";
import type { PictureSource } from "./source.js";

/** Pictures instead of dots where at most so many are in sight. */
const MOST_PICTURES = 160;
/** Thumbnails fetched at a time, and side of one on the map, in pixels. */
const FETCHED = 8;
const SIDE = 54;
const DOT = 3.4;
const ZOOM = { least: 0.7, most: 60, step: 1.5 };
/** Labels that have a colour of their own. */
export const COLOURS = 8;

export interface MapActions {
  open(row: number): void;
}

export class MapView {
  /** Labels, of the first, that have a colour. */
  colours = COLOURS;
  private map: PictureMap | undefined;
  /** What is in the middle, and how many screens wide the map is. */
  private centre = { x: 0.5, y: 0.5 };
  private zoom = 1;
  private readonly pictures = new Map<number, HTMLImageElement | "fetching">();
  private fetching = 0;
  private marked: ReadonlySet<number> = new Set();
  private current: number | undefined;
  private drawing = false;
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private moved = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly source: Pick<PictureSource, "thumbnail">,
    private readonly actions: MapActions,
  ) {
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 300), this.pointOf(event));
    });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      this.moved = false;
    });
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    const lift = (event: PointerEvent) => {
      const wasOne = this.pointers.size === 1;
      this.pointers.delete(event.pointerId);
      if (event.type === "pointerup" && wasOne && !this.moved) this.openAt(event.offsetX, event.offsetY);
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  show(map: PictureMap): void {
    this.map = map;
    this.pictures.clear();
    this.whole();
  }

  /** Rows that stand out, as those that were found; none: all alike. */
  mark(rows: readonly number[], current: number | undefined): void {
    this.marked = new Set(rows);
    this.current = current;
    this.draw();
  }

  whole(): void {
    this.centre = { x: 0.5, y: 0.5 };
    this.zoom = 0.94;
    this.draw();
  }

  /** Towards the picture that is nearest to the middle, so that there is one to see. */
  nearer = (): void => this.zoomBy(ZOOM.step, this.nearestPlace());
  farther = (): void => this.zoomBy(1 / ZOOM.step);

  private nearestPlace(): { x: number; y: number } {
    const { map, centre } = this;
    let best = centre;
    let nearest = Number.POSITIVE_INFINITY;
    for (let i = 0; map !== undefined && i < map.rows.length; i++) {
      const [x, y] = [map.places[2 * i]!, map.places[2 * i + 1]!];
      const distance = Math.hypot(x - centre.x, y - centre.y);
      if (distance < nearest) [best, nearest] = [{ x, y }, distance];
    }
    return best;
  }

  /** Pixels of the map's whole width. */
  private get side(): number {
    return Math.min(this.canvas.clientWidth, this.canvas.clientHeight) * this.zoom;
  }

  private onScreen(i: number): { x: number; y: number } {
    const { canvas, centre, side, map } = this;
    return {
      x: canvas.clientWidth / 2 + (map!.places[2 * i]! - centre.x) * side,
      y: canvas.clientHeight / 2 + (map!.places[2 * i + 1]! - centre.y) * side,
    };
  }

  private pointOf({ offsetX, offsetY }: MouseEvent): { x: number; y: number } {
    const { canvas, centre, side } = this;
    return {
      x: centre.x + (offsetX - canvas.clientWidth / 2) / side,
      y: centre.y + (offsetY - canvas.clientHeight / 2) / side,
    };
  }

  /** Zooms so that `fixed`, a point of the map, stays where it is. */
  private zoomBy(factor: number, fixed = this.centre): void {
    const zoom = Math.max(ZOOM.least, Math.min(ZOOM.most, this.zoom * factor));
    const ratio = this.zoom / zoom;
    this.centre = {
      x: fixed.x + (this.centre.x - fixed.x) * ratio,
      y: fixed.y + (this.centre.y - fixed.y) * ratio,
    };
    this.zoom = zoom;
    this.draw();
  }

  private onMove(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) return;
    const [dx, dy] = [event.offsetX - before.x, event.offsetY - before.y];
    if (this.pointers.size === 1) {
      if (!this.moved && Math.hypot(dx, dy) < 4) return;
      this.moved = true;
      this.centre = { x: this.centre.x - dx / this.side, y: this.centre.y - dy / this.side };
      this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      this.draw();
      return;
    }
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const spread = (at: { x: number; y: number }) => Math.hypot(at.x - other!.x, at.y - other!.y);
    const now = { x: event.offsetX, y: event.offsetY };
    this.moved = true;
    this.pointers.set(event.pointerId, now);
    if (spread(before) > 0) this.zoomBy(spread(now) / spread(before));
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60 / this.side;
    const does: Readonly<Record<string, () => void>> = {
      "+": this.nearer,
      "=": this.nearer,
      "-": this.farther,
      "0": () => this.whole(),
      ArrowLeft: () => this.move(-step, 0),
      ArrowRight: () => this.move(step, 0),
      ArrowUp: () => this.move(0, -step),
      ArrowDown: () => this.move(0, step),
      Enter: () =>
        this.openAt(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2, Number.POSITIVE_INFINITY),
    };
    const act = does[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  private move(dx: number, dy: number): void {
    this.centre = { x: this.centre.x + dx, y: this.centre.y + dy };
    this.draw();
  }

  private openAt(x: number, y: number, within = 28): void {
    if (this.map === undefined) return;
    let best = -1;
    let nearest = within;
    for (let i = 0; i < this.map.rows.length; i++) {
      const at = this.onScreen(i);
      const distance = Math.hypot(at.x - x, at.y - y);
      if (distance < nearest) [best, nearest] = [i, distance];
    }
    if (best >= 0) this.actions.open(this.map.rows[best]!);
  }

  /** Draws at the next frame; many calls before it are one. */
  draw(): void {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.drawNow();
    });
  }

  private drawNow(): void {
    const { canvas, map } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const dots = devicePixelRatio || 1;
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
    const context = canvas.getContext("2d");
    if (context === null || map === undefined || width === 0) return;
    context.scale(dots, dots);
    const look = getComputedStyle(canvas);
    const colour = (name: string) => look.getPropertyValue(name).trim();
    const quiet = colour("--quiet");
    const colours = Array.from({ length: this.colours }, (_, c) => colour(`--k${c}`));
    const inSight: number[] = [];
    for (let i = 0; i < map.rows.length; i++) {
      const { x, y } = this.onScreen(i);
      if (x > -SIDE && y > -SIDE && x < width + SIDE && y < height + SIDE) inSight.push(i);
    }
    const marked = (i: number) => this.marked.size === 0 || this.marked.has(map.rows[i]!);
    // What stands out is drawn over the rest.
    inSight.sort((a, b) => Number(marked(a)) - Number(marked(b)));
    const asPictures = inSight.length <= MOST_PICTURES;
    for (const i of inSight) {
      const { x, y } = this.onScreen(i);
      const row = map.rows[i]!;
      const picture = asPictures ? this.pictures.get(row) : undefined;
      context.globalAlpha = marked(i) ? 1 : 0.25;
      if (picture instanceof HTMLImageElement) {
        const scale = SIDE / Math.max(picture.naturalWidth, picture.naturalHeight);
        const [w, h] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
        context.drawImage(picture, x - w / 2, y - h / 2, w, h);
        context.strokeStyle = colours[map.labels[i]!] ?? quiet;
        context.lineWidth = 1.5;
        context.strokeRect(x - w / 2, y - h / 2, w, h);
      } else {
        context.fillStyle = colours[map.labels[i]!] ?? quiet;
        context.beginPath();
        context.arc(x, y, DOT, 0, 2 * Math.PI);
        context.fill();
        if (asPictures) this.fetch(row);
      }
      if (row === this.current) {
        context.strokeStyle = colour("--ink");
        context.lineWidth = 2.5;
        context.beginPath();
        context.arc(x, y, asPictures ? SIDE / 1.6 : 2.4 * DOT, 0, 2 * Math.PI);
        context.stroke();
      }
    }
  }

  private fetch(row: number): void {
    if (this.pictures.has(row) || this.fetching >= FETCHED) return;
    this.pictures.set(row, "fetching");
    this.fetching++;
    const done = (picture?: HTMLImageElement) => {
      this.fetching--;
      if (picture !== undefined) this.pictures.set(row, picture);
      this.draw();
    };
    void Promise.resolve(this.source.thumbnail(row)).then((address) => {
      const picture = new Image();
      picture.onload = () => done(picture);
      picture.onerror = () => done();
      picture.src = address;
    });
  }
}
