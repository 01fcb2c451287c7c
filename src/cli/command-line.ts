/** Writing command lines, so that pages can say what made them. */

import { kebab } from "../settings/fields.js";

/** The command line, written so that a shell takes it. */
export function commandLine(
  name: string,
  positionals: readonly string[],
  given: Readonly<Record<string, unknown>>,
): string {
  const quote = (word: string) => (/^[\w./:=,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  const words = Object.entries(given).flatMap(([key, value]) => {
    if (value === true || value === false) return [`--${value ? "" : "no-"}${kebab(key)}`];
    const values = Array.isArray(value) ? value : [value];
    return values.flatMap((each) => [`--${kebab(key)}`, quote(String(each))]);
  });
  return [`clipwright ${name}`, ...positionals.map(quote), ...words].join(" ");
}
