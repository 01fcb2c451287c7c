/** Icon sets as Iconify packs them for npm (https://iconify.design/docs/types/iconify-json.html). */

/** One icon of an Iconify set: the inside of an `<svg>` and, where it differs from the set's, its box. */
export interface Icon {
  readonly body: string;
  readonly left?: number;
  readonly top?: number;
  readonly width?: number;
  readonly height?: number;
  /** Kept by Iconify for old users only; no drawing of ours. */
  readonly hidden?: boolean;
}

/** Another name of an icon, perhaps turned or mirrored: then it is a drawing of its own. */
export interface Alias {
  readonly parent: string;
  readonly hFlip?: boolean;
  readonly vFlip?: boolean;
  /** Quarter turns, clockwise. */
  readonly rotate?: number;
}

/** `icons.json`, `chars.json`, `metadata.json` of one set (https://iconify.design/docs/types/iconify-json.html). */
export interface IconSet {
  readonly prefix: string;
  readonly icons: Readonly<Record<string, Icon>>;
  readonly aliases: Readonly<Record<string, Alias>>;
  /** Box of the icons that do not say; Iconify's default is 16 × 16. */
  readonly width?: number;
  readonly height?: number;
  /** Unicode sequence in hexadecimal (`1f9d1-200d-1f33e`) → icon or alias; empty where the set has none. */
  readonly chars: Readonly<Record<string, string>>;
  /** Category → names of its icons. */
  readonly categories: Readonly<Record<string, readonly string[]>>;
}
