/** Drawn figures, held against the ones that were looked at. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Drawing, draw } from "../../src/report/study/draw.js";

/** Figures are reviewed as diffs: `UPDATE_FIGURES=1 node dist/test/run.js report.stud` writes those of `test/fixtures/report/` anew. */
export function assertFigure(name: string, drawing: Drawing | undefined): void {
  const file = fileURLToPath(new URL(`../../../test/fixtures/report/${name}.html`, import.meta.url));
  // A tag a line, so that a diff says what moved.
  const markup = `${draw(drawing!).text.replaceAll("><", ">\n<")}\n`;
  if (process.env.UPDATE_FIGURES === "1") writeFileSync(file, markup);
  assert.equal(markup, readFileSync(file, "utf8"), `${name}: look at the diff, then UPDATE_FIGURES=1`);
}
