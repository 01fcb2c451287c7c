/** Relevance: how well picture and caption agree by a trained CLIP. */

import { keyFromSeed } from "../../../core/random.js";
import { integer, optional, real } from "../../../settings/fields.js";
import type { DataFamily } from "../../scores/score.js";
import { clipFields, withClip } from "../model.js";
import { agreementOf } from "./agreement.js";
import { embedPairs } from "./embed.js";

const settings = {
  ...clipFields,
  clipTemperature: optional(
    real({ min: 0.005, max: 10 }),
    "Of clip_corrected: smaller looks at the nearest others alone. The model's own otherwise.",
  ),
  clipPool: optional(
    integer(2, 65_536),
    "Of clip_corrected and ranks: pairs compared with each other; 4096 otherwise.",
  ),
};

export const clipFamily: DataFamily = {
  name: "clip",
  about: "How well picture and caption agree by a trained CLIP.",
  how:
    "Cosine of the embeddings; the rest among the pairs of a pool, mean of ten random partitions of each 65,536 pairs. Ranks and " +
    "margins leave out the picture's other captions.",
  source: "CLIPScore (2104.08718); s-CLIPLoss (2405.19547)",
  over: "data",
  byDefault: false,
  settings,
  columns: [
    { name: "clip_score", kind: "number", better: "higher", about: "Cosine of picture and caption, -1 … 1." },
    {
      name: "clip_corrected",
      kind: "number",
      better: "higher",
      about:
        "The cosine less how near picture and caption are to everything: cos - τ/2 (log Σ exp(cos/τ) over captions + the same over pictures).",
      source: "s-CLIPLoss (2405.19547)",
    },
    {
      name: "clip_margin",
      kind: "number",
      better: "higher",
      about: "The cosine less the mean of the nearest other caption's and the nearest other picture's.",
    },
    {
      name: "clip_caption_rank",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Other pictures' captions that are nearer to the picture than its own.",
    },
    {
      name: "clip_picture_rank",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Other pictures that are nearer to the caption than its own.",
    },
  ],
  score: (host) =>
    withClip(host, "clip", async (source) => {
      const { dataset, rows } = host;
      const { clipTemperature, clipPool } = host.settings as { clipTemperature?: number; clipPool?: number };
      const temperature = clipTemperature ?? Math.max(0.005, 1 / (await source.scale()));
      const column = () => new Float64Array(rows.length).fill(Number.NaN);
      const out = {
        clip_score: column(),
        clip_corrected: column(),
        clip_margin: column(),
        clip_caption_rank: column(),
        clip_picture_rank: column(),
      };
      for await (const pairs of embedPairs(source, dataset, rows)) {
        const found = await agreementOf(pairs, {
          temperature,
          key: keyFromSeed(0),
          engine: source.engine,
          ...(clipPool !== undefined && { pool: clipPool }),
        });
        for (const [i, row] of pairs.at.entries()) {
          out.clip_score[row] = found.cosine[i]!;
          out.clip_corrected[row] = found.corrected[i]!;
          out.clip_margin[row] = found.margin[i]!;
          out.clip_caption_rank[row] = found.captionRank[i]!;
          out.clip_picture_rank[row] = found.pictureRank[i]!;
        }
      }
      return out;
    }),
};
