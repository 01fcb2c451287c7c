/** HTML that cannot forget to escape: whatever is put into an `html` template is text, unless it is `Html` already. */

import { UsageError } from "../../core/errors.js";

/** Markup that is safe to put on a page. */
export class Html {
  constructor(readonly text: string) {}
}

export type HtmlChild = Html | string | number | undefined | false | readonly HtmlChild[];

/** Markup with its values escaped: fit for text and for attributes in double quotes. Lists are joined; `undefined` and `false` vanish. */
export function html(strings: TemplateStringsArray, ...values: HtmlChild[]): Html {
  return new Html(strings.map((part, i) => (i === 0 ? part : `${markup(values[i - 1])}${part}`)).join(""));
}

function markup(value: HtmlChild): string {
  if (value === undefined || value === false) return "";
  if (value instanceof Html) return value.text;
  if (typeof value === "object") return value.map(markup).join("");
  return escapeText(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** `text` with the five characters that mean something in HTML replaced. */
export const escapeText = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c]!);

/** `value` as JSON for a `<script type="application/json">`; no text in it can end the element. */
export const inlineJson = (value: unknown): Html =>
  new Html(JSON.stringify(value).replaceAll("<", "\\u003c"));

/** An image's bytes (PNG, JPEG, WebP, GIF or SVG), or a `data:` URI of one. */
export type ReportImage = Uint8Array | string;

/** `image` as a `data:` URI, so that the page needs no network. Throws a `UsageError` for other bytes or addresses. */
export function imageUri(image: ReportImage, where: string): string {
  if (typeof image === "string") {
    if (/^data:image\/(png|jpeg|webp|gif|svg\+xml)[;,]/.test(image)) return image;
    throw new UsageError(
      `${where}: a report holds its images; got "${image.slice(0, 40)}". Pass the file's bytes instead of its address.`,
    );
  }
  const type = imageType(image);
  if (type === undefined) {
    throw new UsageError(
      `${where}: an image must be PNG, JPEG, WebP, GIF or SVG; got ${image.length} bytes of something else. Encode it first.`,
    );
  }
  return `data:image/${type};base64,${Buffer.from(image.buffer, image.byteOffset, image.byteLength).toString("base64")}`;
}

function imageType(bytes: Uint8Array): string | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  if (head.startsWith("\x89PNG")) return "png";
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return "webp";
  if (head.startsWith("GIF8")) return "gif";
  if (/^\s*<(svg|\?xml)/.test(head)) return "svg+xml";
  return undefined;
}
