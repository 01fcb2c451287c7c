/** Which pictures a person looks at. Plain TypeScript, for Node and for browsers. */

import type { PictureName } from "./layout.js";

export interface Filter {
  /** Those with this label. */
  readonly label?: string | undefined;
  /** Those whose name, captions or label hold these words, in any case. */
  readonly words?: string | undefined;
}

/** What a picture must have to pass; undefined where every one does. */
export function filterOf({ label, words = "" }: Filter): ((name: PictureName) => boolean) | undefined {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (label === undefined && wanted.length === 0) return undefined;
  return (name) => {
    if (label !== undefined && name.label !== label) return false;
    if (wanted.length === 0) return true;
    const text = [name.key, name.label ?? "", ...name.captions].join("\n").toLowerCase();
    return wanted.every((word) => text.includes(word));
  };
}
