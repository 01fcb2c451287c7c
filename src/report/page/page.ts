/** What every page has: the document around it, numbers in large print, facts and notes. */

import { Html, type HtmlChild, html } from "./html.js";
import { pageScript, pageStyle } from "./style.js";

/** A number in large print. */
export interface HeadlineNumber {
  readonly value: string;
  readonly label: string;
  readonly detail?: string;
}

/** A line of small print. */
export interface Fact {
  readonly name: string;
  readonly value: string | number;
}

/**
 * A whole document around `body`; `style` is what it looks like besides. The policy lets in inline styles, the inline script and `data:`
 * images, nothing else.
 */
export function writePage(title: string, body: HtmlChild, style = ""): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${title}</title>
<style>${new Html(`${pageStyle}${style}`)}</style>
</head>
<body><main>
${body}
<footer>Made by Clipwright. This page is one file and loads nothing.</footer>
</main>
<script>${new Html(pageScript)}</script>
</body>
</html>
`.text;
}

export function headlineList(items: readonly HeadlineNumber[]): Html | undefined {
  if (items.length === 0) return undefined;
  return html`<dl class="headline">${items.map(
    ({ value, label, detail }) =>
      html`<div><dt>${label}</dt><dd>${value}</dd>${detail !== undefined && html`<dd class="quiet">${detail}</dd>`}</div>`,
  )}</dl>`;
}

export function factsSection(title: string, items: readonly Fact[]): Html | undefined {
  if (items.length === 0) return undefined;
  return html`<section id="facts"><h2>${title}</h2><dl class="facts">${items.map(
    ({ name, value }) =>
      html`<div><dt>${name}</dt><dd>${typeof value === "number" ? value.toLocaleString("en-US") : value}</dd></div>`,
  )}</dl></section>`;
}

export function notesSection(paragraphs: readonly string[]): Html | undefined {
  if (paragraphs.length === 0) return undefined;
  return html`<section id="notes"><h2>Notes</h2>${paragraphs.map((text) => html`<p>${text}</p>`)}</section>`;
}
