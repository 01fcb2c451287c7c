/**
 * Label Studio's JSON (labelstud.io/guide/task_format): a task a pair, an annotation a verdict, so that a review may begin or go
 * on there. Results keep what is in their `meta`, so reviewers have their names there; accounts are numbers or addresses.
 */

import { z } from "zod";
import type { Standing } from "../log/standing.js";
import { entityKey, type Verdict } from "../log/verdict.js";
import { classesOf, type ReviewSet } from "../set.js";
import { checkRecords, foreignId, idFromFields, idToFields, verdictOfAnswer } from "./foreign.js";

const VERDICT = "verdict";
const CAPTION = "corrected_caption";
const LABEL = "corrected_label";

const result = z.object({
  id: z.string().optional(),
  from_name: z.string(),
  value: z.object({
    choices: z.array(z.string()).optional(),
    text: z.union([z.string(), z.array(z.string())]).optional(),
  }),
  meta: z.object({ reviewer: z.string().optional() }).loose().optional(),
});
const account = z.union([
  z.number(),
  z.object({ id: z.number().optional(), email: z.string().optional(), first_name: z.string().optional() }),
]);
const annotation = z.object({
  result: z.array(result),
  completed_by: account.nullish(),
  created_at: z.string().optional(),
  was_cancelled: z.boolean().optional(),
});
const task = z.object({
  data: z.object({ clipwright: foreignId }),
  annotations: z.array(annotation).default([]),
});

type Annotation = z.infer<typeof annotation>;

export interface LabelStudioOptions {
  /** What stands before a pair's key to make the address of its picture. Default `/data/local-files/?d=`. */
  readonly pictures?: string;
}

/** Every pair of the review as a task, with the verdicts on it that stand. Verdicts on copies have no place there. */
export function toLabelStudio(
  { items, scores }: Pick<ReviewSet, "items" | "scores">,
  standing: Standing,
  { pictures = "/data/local-files/?d=" }: LabelStudioOptions = {},
) {
  return items.map(({ id, caption, label, keep, reason }, i) => {
    const opinions = standing.opinions(entityKey({ item: id, question: "pair" }));
    const known = scores.filter(({ values }) => !Number.isNaN(values[i]!));
    return {
      data: {
        image: `${pictures}${id.key}`,
        caption,
        ...(label !== undefined && { label }),
        keep,
        ...(reason !== undefined && { reason }),
        clipwright: idToFields(id),
        scores: Object.fromEntries(known.map(({ name, values }) => [name, values[i]!])),
      },
      annotations: [...opinions.values()].map(annotationOf),
    };
  });
}

function annotationOf(verdict: Verdict) {
  const { id, answer, correctedCaption, correctedLabel, reviewer, time } = verdict;
  const common = { to_name: "image", meta: { reviewer } };
  return {
    ...(reviewer.includes("@") && { completed_by: { email: reviewer } }),
    created_at: time,
    was_cancelled: false,
    ground_truth: false,
    result: [
      { ...common, id, from_name: VERDICT, type: "choices", value: { choices: [answer] } },
      ...(correctedCaption === undefined
        ? []
        : [
            {
              ...common,
              id: `${id}-c`,
              from_name: CAPTION,
              type: "textarea",
              value: { text: [correctedCaption] },
            },
          ]),
      ...(correctedLabel === undefined
        ? []
        : [
            {
              ...common,
              id: `${id}-l`,
              from_name: LABEL,
              type: "choices",
              value: { choices: [correctedLabel] },
            },
          ]),
    ],
  };
}

/** Verdicts in tasks that Label Studio exported as JSON. Throws a `UsageError` for a task that names no pair. */
export function fromLabelStudio(path: string, tasks: readonly unknown[]): Verdict[] {
  return checkRecords(path, tasks, task, "a task of a review, with data.clipwright").flatMap(
    ({ data, annotations }) =>
      annotations.flatMap((each) => {
        const [first] = each.result.filter(({ from_name }) => from_name === VERDICT);
        if (each.was_cancelled === true || first === undefined) return [];
        const verdict = verdictOfAnswer({
          item: idFromFields(data.clipwright),
          answer: first.value.choices?.[0],
          caption: textIn(each, CAPTION),
          label: textIn(each, LABEL),
          reviewer: reviewerIn(each),
          time: each.created_at,
          tool: "label-studio",
          // Label Studio's own ids are of ten letters; those of ours say which verdict it was.
          id: first.id !== undefined && first.id.length === 36 ? first.id : undefined,
        });
        return verdict === undefined ? [] : [verdict];
      }),
  );
}

function textIn({ result }: Annotation, name: string): string | undefined {
  const value = result.find(({ from_name }) => from_name === name)?.value;
  const text = value?.choices ?? value?.text;
  return typeof text === "string" ? text : text?.[0];
}

function reviewerIn({ result, completed_by }: Annotation): string {
  const named = result.find(({ meta }) => meta?.reviewer !== undefined)?.meta?.reviewer;
  if (named !== undefined) return named;
  if (completed_by === undefined || completed_by === null) return "label-studio";
  if (typeof completed_by === "number") return `label-studio ${completed_by}`;
  return completed_by.email ?? completed_by.first_name ?? `label-studio ${completed_by.id ?? ""}`.trim();
}

const attribute = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** The labelling interface (XML) that the tasks are made for. */
export function labelStudioConfig({ items }: Pick<ReviewSet, "items">): string {
  const classes = classesOf(items);
  const choices = classes.map((name) => `    <Choice value="${attribute(name)}"/>`).join("\n");
  const label =
    classes.length === 0
      ? ""
      : `  <Choices name="${LABEL}" toName="image" choice="single" required="false">\n${choices}\n  </Choices>\n`;
  return `<View>
  <Image name="image" value="$image"/>
  <Text name="caption" value="$caption"/>
  <Choices name="${VERDICT}" toName="image" choice="single" required="true">
    <Choice value="keep" hotkey="k"/>
    <Choice value="drop" hotkey="d"/>
  </Choices>
  <TextArea name="${CAPTION}" toName="image" value="$caption" maxSubmissions="1" required="false"/>
${label}</View>
`;
}
