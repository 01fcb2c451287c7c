/** Diversity by a trained CLIP: what lies together, how densely, and what of the wanted is there. */

import { UsageError } from "../../../core/errors.js";
import { readText } from "../../../core/files.js";
import { keyFromSeed } from "../../../core/random.js";
import { defaulted, integer, optional, real, text } from "../../../settings/fields.js";
import type { DataFamily, ScoredData, ScoreValues } from "../../scores/score.js";
import { clipFields, withClip } from "../model.js";
import { nearestTargets, vendiScore } from "./coverage.js";
import { densityOf } from "./density.js";
import { sphericalKMeans } from "./kmeans.js";

/** Pictures up to which all are compared with all; beyond, within clusters. */
const ALL_WITH_ALL = 50_000;

const clusterSettings = {
  ...clipFields,
  clusters: optional(integer(1), "Groups of pictures by k-means; the square root of the pictures otherwise."),
  copyCosine: defaulted(
    real({ min: 0, max: 1 }),
    0.98,
    "Cosine above which two pictures are the same by their embeddings; 1 - ε of SemDeDup.",
  ),
};

export const clustersFamily: DataFamily = {
  name: "clusters",
  about:
    "Which pictures lie together by a trained CLIP, how densely, and which are the same but for small changes.",
  how:
    `Spherical k-means of 25 rounds at most on up to 256 pictures a cluster. Neighbours among all of up to ${ALL_WITH_ALL} pictures, beyond that within the ` +
    "cluster. Groups are joined by any cosine above --copy-cosine.",
  source: "SemDeDup (2303.09540)",
  over: "data",
  byDefault: false,
  settings: clusterSettings,
  columns: [
    { name: "cluster", kind: "count", about: "The picture's cluster, from 0, the largest first." },
    { name: "cluster_size", kind: "count", about: "Pictures of the cluster." },
    { name: "cluster_cosine", kind: "number", about: "Cosine with the cluster's centre: how typical it is." },
    { name: "nearest_cosine", kind: "number", about: "Cosine of the nearest other picture." },
    { name: "density", kind: "number", about: "Mean cosine of the 10 nearest other pictures." },
    {
      name: "semantic_group",
      kind: "count",
      about:
        "Number of the first sample of those that are the same picture by their embeddings; its own where it is alone.",
    },
  ],
  score: (host) =>
    withClip(host, "clusters", async (source) => {
      const { clusters, copyCosine } = host.settings as { clusters?: number; copyCosine: number };
      const { features, indices } = await source.images(host.dataset);
      const K = clusters ?? Math.max(1, Math.round(Math.sqrt(features.rows)));
      const found = await sphericalKMeans(source.engine, features, { clusters: K, key: keyFromSeed(0) });
      const within = features.rows > ALL_WITH_ALL ? found.cluster : undefined;
      const options = { threshold: copyCosine, cluster: within };
      const { nearest, density, group } = await densityOf(source.engine, features, options);
      host.onNote?.(
        `${new Set(group).size} different pictures of ${features.rows} in ${K} clusters; Vendi score ${(await vendiScore(features)).toFixed(1)}.`,
      );
      const column = (value: (place: number) => number) => byRow(host, indices, value);
      return {
        cluster: column((place) => found.cluster[place]!),
        cluster_size: column((place) => found.sizes[found.cluster[place]!]!),
        cluster_cosine: column((place) => found.cosine[place]!),
        nearest_cosine: column((place) => nearest[place]!),
        density: column((place) => density[place]!),
        semantic_group: column((place) => indices[group[place]!]!),
      };
    }),
};

export const targetsFamily: DataFamily = {
  name: "targets",
  about: "Which of the wanted texts or concepts each picture is nearest to, by a trained CLIP.",
  how: "Cosines of the pictures with the lines of --targets.",
  source: "NormSim∞ (2405.19547), with texts as the target",
  over: "data",
  byDefault: false,
  settings: {
    ...clipFields,
    targets: optional(text("FILE"), "Of the scores targets: what is wanted, a text a line."),
  },
  columns: [
    { name: "target", kind: "text", about: "The line of --targets that is nearest to the picture." },
    { name: "target_cosine", kind: "number", better: "higher", about: "Its cosine, -1 … 1." },
  ],
  score(host) {
    const { targets: file } = host.settings as { targets?: string };
    if (file === undefined)
      throw new UsageError(
        'targets: the scores "targets" need what is wanted; got nothing. Give --targets, a text a line.',
        {
          key: "targets",
        },
      );
    const lines = readText(file)
      .split(/\r?\n/)
      .map((line) => line.trim());
    const texts = [...new Set(lines.filter((line) => line !== ""))];
    if (texts.length === 0)
      throw new UsageError(`targets ${file}: must have a text; got an empty file. Write one a line.`, {
        file,
      });
    return withClip(host, "targets", async (source): Promise<Record<string, ScoreValues>> => {
      const { features, indices } = await source.images(host.dataset);
      const { features: wanted } = await source.texts(texts, `lines of ${file}`);
      const { index, cosine } = await nearestTargets(source.engine, features, wanted);
      host.onNote?.(`${new Set(index).size} of ${texts.length} targets are the nearest of some picture.`);
      const at = byRow(host, indices, (place) => index[place]!);
      return {
        target: Array.from(at, (target) => (Number.isNaN(target) ? null : texts[target]!)),
        target_cosine: byRow(host, indices, (place) => cosine[place]!),
      };
    });
  },
};

/** Values of pictures as a column of rows; NaN of those that could not be read. `indices` are the samples of the pictures, ascending. */
function byRow(
  { rows }: Pick<ScoredData, "rows">,
  indices: Uint32Array,
  value: (place: number) => number,
): Float64Array {
  const placeOf = new Map(Array.from(indices, (sample, place) => [sample, place]));
  return Float64Array.from(rows.sample, (sample) => {
    const place = placeOf.get(sample);
    return place === undefined ? Number.NaN : value(place);
  });
}
