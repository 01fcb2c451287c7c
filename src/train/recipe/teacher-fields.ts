/** Settings of a recipe on a teacher whose embeddings a run learns from. */

import { optional, real, text, type Values } from "../../settings/fields.js";

/** Weight of the teacher's part of the loss. */
export const DEFAULT_DISTILL = 1;

export const teacherFields = {
  teacher: optional(
    text("RUN|FILE"),
    "Learn from a CLIP, too: a run, or another as --pretrained takes it, by name, folder or file. Its embeddings of the training set are made once, kept under --logs, and used again.",
  ),
  teacherModel: optional(text("NAME|FILE"), "Of --teacher: preset or model file, where none lies beside it."),
  teacherTokenizer: optional(text("FILE"), "Of --teacher: its tokenizer, where none lies beside it."),
  distill: optional(
    real({ above: 0 }),
    `Of --teacher: weight of its part beside the strategy's loss (default ${DEFAULT_DISTILL}).`,
  ),
  teacherScale: optional(
    real({ above: 0, max: 1000 }),
    "Of --teacher: factor on its cosines, an inverse temperature; its own logit scale otherwise.",
  ),
} as const;

type Checked = Values<typeof teacherFields>;

const options = ["teacherModel", "teacherTokenizer", "distill", "teacherScale"] as const;

/** What must hold between them; each gives the message or undefined. */
export const teacherRules: readonly ((recipe: Checked) => string | undefined)[] = [
  (recipe) => {
    const stray = options.find((key) => recipe[key] !== undefined);
    return stray !== undefined && recipe.teacher === undefined
      ? `${stray}: is of a teacher; got ${stray}=${recipe[stray]} without teacher. Add --teacher, or remove it.`
      : undefined;
  },
];
