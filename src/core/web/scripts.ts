/** What a page is made of, as a server of pages sends it. */

import { readdirSync, readFileSync } from "node:fs";
import type { Context } from "hono";
import { InternalError } from "../errors.js";

const sources = new URL("../../", import.meta.url);

/**
 * The scripts of folders below `src`, compiled, by their address `/script/FOLDER/NAME.js`: as they lie on the disk, so that they find
 * each other. Throws an `InternalError` where `main` is not among them.
 */
export function pageScripts(main: string, folders: readonly string[]): Map<string, string> {
  const scripts = new Map<string, string>();
  for (const folder of folders) {
    const from = new URL(`${folder}/`, sources);
    for (const name of readdirSync(from).filter((each) => each.endsWith(".js"))) {
      const script = readFileSync(new URL(name, from), "utf8");
      scripts.set(`/script/${folder}/${name}`, script.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
    }
  }
  if (!scripts.has(`/script/${main}`))
    throw new InternalError(`the page is not built; it lacks ${main}: npm run build`);
  return scripts;
}

/** A text of a type, as UTF-8. */
export const sendText = (c: Context, type: string, content: string): Response =>
  c.body(content, 200, { "content-type": `${type}; charset=utf-8` });

/** A text as markup shows it. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
