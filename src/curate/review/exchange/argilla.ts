/**
 * Argilla's JSON, as `dataset.records.to_json` writes and `from_json` reads it: a record a pair, a response a reviewer and question.
 * Argilla's users are UUIDs; names get one made of the name, and stand in the metadata. It keeps no times: what is imported has
 * the time of the import.
 */

import { z } from "zod";
import type { Standing } from "../log/standing.js";
import { entityKey, type Verdict } from "../log/verdict.js";
import type { ReviewSet } from "../set.js";
import { checkRecords, foreignId, idFromFields, idOfWords, idToFields, verdictOfAnswer } from "./foreign.js";

const VERDICT = "verdict";
const CAPTION = "corrected_caption";
const LABEL = "corrected_label";

const responses = z.record(
  z.string(),
  z.array(z.object({ value: z.unknown(), user_id: z.string().nullable() })),
);
const record = z.object({
  metadata: foreignId.extend({ reviewers: z.array(z.string()).optional() }),
  responses: responses.default({}),
});

/** Every pair of the review as a record, with the verdicts on it that stand. What the selection says is a suggestion. */
export function toArgilla(
  { items, scores, selected }: Pick<ReviewSet, "items" | "scores" | "selected">,
  standing: Standing,
) {
  return items.map(({ id, caption, label, keep, reason }, i) => {
    const opinions = [...standing.opinions(entityKey({ item: id, question: "pair" })).values()];
    const known = scores.filter(({ values }) => !Number.isNaN(values[i]!));
    const said = (value: (verdict: Verdict) => string | undefined) =>
      opinions.flatMap((verdict) => {
        const text = value(verdict);
        return text === undefined ? [] : [{ value: text, user_id: userOf(verdict.reviewer) }];
      });
    const answers: readonly (readonly [string, ReturnType<typeof said>])[] = [
      [VERDICT, said(({ answer }) => answer)],
      [CAPTION, said(({ correctedCaption }) => correctedCaption)],
      [LABEL, said(({ correctedLabel }) => correctedLabel)],
    ];
    return {
      id: `${id.source}/${id.key}#${id.captionIndex}`,
      fields: { image: id.key, caption, ...(label !== undefined && { label }) },
      metadata: {
        ...idToFields(id),
        ...Object.fromEntries(known.map(({ name, values }) => [`score_${name}`, values[i]!])),
        ...(reason !== undefined && { reason }),
        ...(opinions.length > 0 && {
          reviewers: opinions.map(({ reviewer }) => `${userOf(reviewer)} ${reviewer}`),
        }),
      },
      suggestions: selected
        ? { [VERDICT]: { value: keep ? "keep" : "drop", score: null, agent: "clipwright" } }
        : {},
      responses: Object.fromEntries(answers.filter(([, given]) => given.length > 0)),
      vectors: {},
      _server_id: null,
    };
  });
}

const userOf = (reviewer: string): string => idOfWords("clipwright reviewer", reviewer);

/** Verdicts in records that Argilla exported. Throws a `UsageError` for a record that names no pair. */
export function fromArgilla(path: string, records: readonly unknown[]): Verdict[] {
  const read = checkRecords(path, records, record, "a record of a review, with its metadata");
  return read.flatMap(({ metadata, responses: given }) => {
    const names = new Map(
      metadata.reviewers?.map((line) => [
        line.slice(0, line.indexOf(" ")),
        line.slice(line.indexOf(" ") + 1),
      ]),
    );
    return (given[VERDICT] ?? []).flatMap(({ value, user_id }) => {
      const of = (question: string): string | undefined => {
        const answer = given[question]?.find((each) => each.user_id === user_id)?.value;
        return typeof answer === "string" ? answer : undefined;
      };
      const verdict = verdictOfAnswer({
        item: idFromFields(metadata),
        answer: typeof value === "string" ? value : undefined,
        caption: of(CAPTION),
        label: of(LABEL),
        reviewer: names.get(user_id ?? "") ?? `argilla ${user_id ?? ""}`.trim(),
        time: undefined,
        tool: "argilla",
        id: undefined,
      });
      return verdict === undefined ? [] : [verdict];
    });
  });
}
