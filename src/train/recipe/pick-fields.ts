/** Settings of a recipe on picking each batch from a larger one, while training. */

import { choice, integer, kebab, optional, real, text, type Values } from "../../settings/fields.js";

/** What pairs are picked by. */
export const pickMethods = ["learnability", "hard", "easy"] as const;
export type PickMethod = (typeof pickMethods)[number];

/** Evans et al. 2024: four of five pairs are left out, and the batch is drawn in 16 chunks. */
const DEFAULT_FILTER_RATIO = 0.8;
const DEFAULT_CHUNKS = 16;

export const pickFields = {
  pick: optional(
    choice(pickMethods),
    "Draw each batch from a super-batch by its pairs' losses beside each other: learnability (the model's less the reference's), hard (the model's), easy (the reference's, lowest).",
  ),
  pickFilterRatio: optional(
    real({ above: 0, below: 1 }),
    `Of --pick: share of the super-batch that is left out (default ${DEFAULT_FILTER_RATIO}: a super-batch is five batches).`,
  ),
  pickChunks: optional(
    integer(1, 1024),
    `Of --pick: chunks in which a batch is drawn, each given those before (default ${DEFAULT_CHUNKS}).`,
  ),
  pickReference: optional(
    text("RUN|FILE"),
    "Of --pick learnability and easy: a CLIP trained on pairs that you trust. Its embeddings of the training set are made once, kept under --logs, and used again.",
  ),
  pickReferenceModel: optional(
    text("NAME|FILE"),
    "Of --pick-reference: preset or model file, where none lies beside it.",
  ),
  pickReferenceTokenizer: optional(
    text("FILE"),
    "Of --pick-reference: its tokenizer, where none lies beside it.",
  ),
} as const;

type Checked = Values<typeof pickFields>;

/** The part of the learner and of the reference in what pairs are picked by. */
export const pickWeights = {
  learnability: { learner: 1, reference: -1 },
  hard: { learner: 1, reference: 0 },
  easy: { learner: 0, reference: -1 },
} as const satisfies Record<PickMethod, { readonly learner: number; readonly reference: number }>;

/** How a run picks; undefined where it takes what comes. */
export interface Picking {
  readonly method: PickMethod;
  /** Pairs that are looked at for a batch. */
  readonly superBatch: number;
  readonly chunks: number;
}

/** Settings that `pickOf` goes by. */
export type PickSettings = Partial<Checked> & {
  readonly batchSize?: number | undefined;
  readonly microBatch?: number | undefined;
};

/** B / (1 − filter ratio) pairs, to whole parts where a batch has parts; at least a batch. */
export function pickOf({ batchSize, microBatch = 1, ...recipe }: PickSettings): Picking | undefined {
  const { pick: method, pickFilterRatio = DEFAULT_FILTER_RATIO, pickChunks = DEFAULT_CHUNKS } = recipe;
  if (method === undefined || batchSize === undefined) return undefined;
  const superBatch = Math.max(
    batchSize,
    microBatch * Math.round(batchSize / (1 - pickFilterRatio) / microBatch),
  );
  return { method, superBatch, chunks: Math.min(pickChunks, batchSize) };
}

const options = [
  "pickFilterRatio",
  "pickChunks",
  "pickReference",
  "pickReferenceModel",
  "pickReferenceTokenizer",
] as const;

/** What must hold between them; each gives the message or undefined. */
export const pickRules: readonly ((recipe: Checked) => string | undefined)[] = [
  (recipe) => {
    const stray = options.find((key) => recipe[key] !== undefined);
    return stray !== undefined && recipe.pick === undefined
      ? `${stray}: is of picking pairs; got ${stray}=${recipe[stray]} without pick. Add --pick learnability, or remove it.`
      : undefined;
  },
  ({ pick, pickReference }) =>
    pick !== undefined && pickWeights[pick].reference !== 0 && pickReference === undefined
      ? `pickReference: ${pick} needs a model that was trained on pairs you trust; got none. Train one first (docs/strategies.md), and give its run with --pick-reference; or use --pick hard.`
      : undefined,
  (recipe) => {
    if (recipe.pick !== "hard") return undefined;
    const stray = options.slice(2).find((key) => recipe[key] !== undefined);
    return stray === undefined
      ? undefined
      : `${stray}: hard goes by the model's own losses; got ${stray}=${recipe[stray]} with pick=hard. Remove --${kebab(stray)}, or use --pick learnability.`;
  },
];
