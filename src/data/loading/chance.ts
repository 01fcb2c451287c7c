/**
 * The chance of a sample: keys made of (seed, sample, pass over its source), so that what is drawn depends neither on
 * the batch that it is drawn for nor on who draws it.
 */
import { foldIn, type Key, Random } from "../../core/random.js";

/** Of a sample's pixels: view 0 is the image that is trained on, views 1 … further ones of it. */
export const viewKey = (key: Key, sample: number, pass: number, view: number): Key =>
  foldIn(key, sample, pass, view);

/** Which of `count` captions a visit takes. */
export const chooseCaption = (key: Key, sample: number, pass: number, count: number): number =>
  new Random(foldIn(key, sample, pass)).integer(count);

/**
 * `caption` with a share of its words left out, each by its own draw; one word at random stays when all would go.
 * Words are what white space parts; what stays is joined by single spaces.
 */
export function dropWords(caption: string, share: number, key: Key, sample: number, pass: number): string {
  const words = caption.split(/\s+/).filter((word) => word !== "");
  const random = new Random(foldIn(key, sample, pass, "words"));
  const left = words.filter(() => random.uniform() >= share);
  if (left.length === words.length) return caption;
  return left.length > 0 ? left.join(" ") : words[random.integer(words.length)]!;
}
