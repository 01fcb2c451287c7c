/** JSON as other programs write it, Python's foremost. */

/** Texts in quotes, which are kept, and Python's words for numbers that JSON has not. */
const WORDS = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g;

/** The value of JSON in which `NaN`, `Infinity` and `-Infinity` may stand, as null. Throws a `SyntaxError`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(text.replace(WORDS, (word) => (word[0] === '"' ? word : "null")));
  }
}

/** The object in a JSON text. Throws an error that says in a few words what else it is. */
export function parseRecord(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new Error(`is not JSON (${(error as Error).message}). Write one object a line.`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error(`must be an object such as {"image": …, "caption": …}; got ${text.trim().slice(0, 40)}.`);
  }
  return value as Readonly<Record<string, unknown>>;
}
