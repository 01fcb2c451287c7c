/** The `post_processor` of a tokenizer.json: what stands before and after a text. */

import { UsageError } from "../../../core/errors.js";
import { type Component, componentOf, isRecord } from "./component.js";

export interface Frame {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

const NONE: Frame = { prefix: [], suffix: [] };

/** A token and its id, as `cls` and `sep` are written. */
function idOf(part: Component, key: "cls" | "sep"): number {
  const pair = part.json[key];
  const id = Array.isArray(pair) ? pair[1] : undefined;
  if (Number.isInteger(id) && id >= 0) return id;
  throw part.wrong(`${key} must be a token and its id; got ${JSON.stringify(pair)}`);
}

const around = (part: Component): Frame => ({ prefix: [idOf(part, "cls")], suffix: [idOf(part, "sep")] });

/** Of a template for one text: the ids before and after the text itself. */
function template(part: Component): Frame {
  const { single, special_tokens: special } = part.json;
  const [prefix, suffix]: [number[], number[]] = [[], []];
  let texts = 0;
  for (const item of Array.isArray(single) ? single : []) {
    const name = isRecord(item) && isRecord(item.SpecialToken) ? item.SpecialToken.id : undefined;
    if (name === undefined) {
      texts++;
      continue;
    }
    const token =
      isRecord(special) && Object.hasOwn(special, String(name)) ? special[String(name)] : undefined;
    const ids = isRecord(token) && Array.isArray(token.ids) ? token.ids : [];
    if (ids.length === 0 || !ids.every((id) => Number.isInteger(id) && id >= 0)) {
      throw part.wrong(`special_tokens must have the ids of ${JSON.stringify(name)}`);
    }
    (texts === 0 ? prefix : suffix).push(...(ids as number[]));
  }
  if (texts === 1) return { prefix, suffix };
  throw new UsageError(`${part.where}: the post-processor must keep a text in one piece; this one does not.`);
}

const kinds: Readonly<Record<string, (part: Component) => Frame>> = {
  BertProcessing: around,
  RobertaProcessing: around,
  TemplateProcessing: template,
  ByteLevel: () => NONE,
  Sequence: (part) => {
    const parts = part.json.processors;
    if (!Array.isArray(parts)) throw part.wrong("processors must be a list");
    const frames = parts.map((json, i) => frameOf(json, part.where, `${part.key}.processors[${i}]`));
    return {
      prefix: frames.toReversed().flatMap(({ prefix }) => prefix),
      suffix: frames.flatMap(({ suffix }) => suffix),
    };
  },
};

/** Throws a `UsageError` naming the key for a kind that is not built, or one that is not whole. */
export function frameOf(json: unknown, where: string, key = "post_processor"): Frame {
  if (json === null || json === undefined) return NONE;
  const part = componentOf(isRecord(json) ? json : {}, where, key, kinds);
  return kinds[part.kind]!(part);
}
