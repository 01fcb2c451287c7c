/**
 * Trains a pretrained CLIP on with a thousand pairs or so of your own:
 *
 *     clipwright train finetune --train-data photos/ --pretrained NAME|RUN|FOLDER [--reference-data SOURCE]
 *
 * The model and its tokenizer come with the weights; `clipwright models --pretrained` lists some. With `--reference-data`,
 * pictures with labels or captions that the model should stay good at, what is forgotten of them is told, and ends the run
 * at five points. Where the settings are from: src/train/recipe/finetuning.ts; how it goes: docs/strategies.md.
 */

import { finetuning } from "../src/train/recipe/finetuning.js";
import { defineRecipe } from "../src/train/recipe/recipe.js";

export default defineRecipe(finetuning);
