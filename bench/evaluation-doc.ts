/** docs/evaluation.md: what is written by hand, and between it each task as its record says. */

import { type CorruptionKind, corruptionKinds } from "../src/data/pixels/corrupt/corruption.js";
import { imagenetNames } from "../src/evaluate/suites/imagenet.js";
import { tasks } from "../src/evaluate/tasks/index.js";

export const evaluationDocument = (generated: string): string => `${generated}

# Evaluation

\`\`\`sh
clipwright evaluate runs/a --data test.tar             # tasks that suit the data
clipwright evaluate runs/a runs/b --suite suite.json   # several runs on several sets, side by side
clipwright compare runs/a runs/b --suite suite.json    # whether they can be told apart
clipwright evaluate --list                             # the tasks, from the program itself
\`\`\`

Pictures and texts are embedded once for each model and data set and kept under \`$CLIPWRIGHT_CACHE\`; every task reads
them. They take at most 16 GiB (\`--features-disk\`, in MiB), the longest unused go; \`features/\` there may be deleted at any time.
\`--image-disk MiB\` keeps the decoded pictures, too, for the next model ([data.md](data.md#decoded-images-on-disk)). Each score has a 95 % interval and, where there is such a thing, what guessing gives.

## Tasks

${tasks
  .map(
    ({ name, doc, how, source, needs, metrics }) => `### ${name}

${doc} ${how}

Needs ${needs.join(", ")}. Source: ${source}.

${metrics.map((metric) => `- \`${metric.name}\`: ${metric.doc}`).join("\n")}
`,
  )
  .join("\n")}
## Suites

A suite names data sets. It is a \`.json\` file, or a program (\`.js\`, \`.mjs\`, \`.ts\`, \`.mts\`) whose default export is one, typed by
\`defineSuite\`. Paths start from the suite's file.

\`\`\`json
{
  "templates": "openai-80",
  "sets": {
    "photos": { "data": "photos/", "role": "reference", "train": "photos-train/" },
    "sketches": { "data": "sketches.tar", "role": "shift", "classnames": "names.txt" },
    "flowers": { "data": "https://example.org/wds_flowers", "tasks": ["zeroshot_classification", "linear_probe"] }
  }
}
\`\`\`

| key of a set | what it is |
| --- | --- |
| \`data\` | a source as \`--data\` takes it ([data.md](data.md)), or a folder or address in CLIP_benchmark's form |
| \`role\` | \`test\` (default), \`reference\`, \`shift\`, or \`train\`: not scored, probes of the other sets learn from it |
| \`train\` | what probes learn from: a source, or the name of another set |
| \`classnames\`, \`templates\` | a file, or the names and templates themselves |
| \`tasks\` | names of tasks; those that suit the data otherwise |
| \`imagenet\`, \`wnids\`, \`answers\` | see below |
| \`labelKey\` | the column or field with the class, of \`train\` too where that is a source |
| \`corruptions\` | see below |

\`classnames\`, \`templates\`, \`tasks\`, \`wnids\` and \`corruptions\` beside \`sets\` hold for every set that does not say its own.
A class may have several names: a list in place of a name, in the suite or in a JSON file. Its vector is then the mean over the
prompts of all of them. The best of them instead would give classes with many names more chances than the others.

CLIP_benchmark's folders are read as they are: \`test/\` and \`train/\` with \`nshards.txt\` and \`0.tar\` …, and beside them
\`classnames.txt\`, \`zeroshot_classification_templates.txt\` and \`dataset_type.txt\`, whose values stand unless the set says its own.

## ImageNet's test sets

\`"imagenet": NAME\` is one of ${imagenetNames.map((name) => `\`${name}\``).join(", ")}. \`classnames\` must be all 1,000 names in order of class,
or a map from WordNet id to names. No list comes with Clipwright: openai/CLIP's notebook has the usual one.

- **Order.** Class 0 is the first WordNet id by letters. \`wnids\` says the 1,000 ids where the folders are not all of them: any file
  that holds them (\`synset_words.txt\`, \`imagenet_class_index.json\`), or the folder of ImageNet's classes.
- **imagenet**: a folder a class; or the flat files with \`answers\`: \`LOC_val_solution.csv\`, \`FILE CLASS\` a line, or a WordNet id a line.
  A file of bare numbers is refused: those are ILSVRC2012 ids, which are in another order.
- **imagenet-v2**: folders 0 … 999 are numbers, so 2 comes before 10.
- **imagenet-a**, **imagenet-r**: 200 of the classes; the others are masked, so that they cannot be guessed.
- **imagenet-real**: \`answers\` is \`real.json\`. Any class in a picture's list is right; pictures without one leave numerator and
  denominator. Pictures go by the number in their name.
- **objectnet**: \`answers\` is the release's \`mappings/\`. A border of 2 pixels is cut off, objects that ImageNet lacks are left out, the
  classes that none of them maps to are masked, and any class that an object maps to is right (imagenet-testbed's protocol;
  CLIP_benchmark's, 113 names of its own and no crop, gives other numbers).

Another number of classes is refused with what was found. Probes know these sets by their WordNet ids: any right answer
counts, and the masked classes cannot be guessed by them either. Of other sets, probes may guess classes that a set lacks.

## Robustness over a suite

Sets of role \`shift\` are held against the one of role \`reference\`, by every metric that is a share and that all shifts have:

- the mean over the shifts, each weighing the same, as a data set of its own, \`mean of N shifts\`; its interval takes the sets to be
  drawn independently. \`compare\` compares it like any other score.
- what is lost (\`acc1_drop\`): the reference less that mean.
- effective robustness (\`acc1_above_line\`; Taori et al. 2020, Miller et al. 2021), where several runs are given: the line through
  logit(mean of shifts) over logit(reference), by least squares over the runs themselves, or over those of \`--baseline RUN,…\`, and
  how far each run lies above it. Its interval is over the runs that draw the line. At least five that span ten points of reference
  accuracy are needed; otherwise there is none, and that is said: the choice of the baseline decides the result.

## Corrupted pictures

\`clipwright evaluate RUN --corruptions\`, or \`"corruptions": true\` in a suite, scores the test pictures again with noise, blur,
JPEG and others. \`--corruption-kinds jpeg,contrast --corruption-strengths 1,5 --corruption-seed 1\`, or \`{"kinds": [...],
"strengths": [...], "seed": 1}\`, say less than all.

| kind | what becomes of the picture | argument | strengths 1 … 5 | below 128 pixels | source |
| --- | --- | --- | --- | --- | --- |
${Object.entries<CorruptionKind>(corruptionKinds)
  .map(
    ([name, { doc, argument, large, small, source }]) =>
      `| \`${name}\` | ${doc} | ${argument} | ${large.join(", ")} | ${small.join(", ")} | ${source} |`,
  )
  .join("\n")}

- They are done to the square that the model sees, last, as in ImageNet-C (Hendrycks and Dietterich 2019): a strength means the
  same whatever the size of the files. Squares below 128 pixels get Tiny-ImageNet-C's strengths; lengths are in pixels of squares
  of 224 and of 64, and go with the side. Of ImageNet-C's kinds those are here that need no pictures of their own, and rotation
  besides. ImageNet-C itself was saved as JPEG and truncates where we round: its numbers are not these.
- Chance comes from the picture's own bytes, the kind and the seed, so that every model, on any number of threads, sees the same
  pixels, and a picture has the same draws at every strength.
- Tasks that learn nothing are scored, by their metrics that are means over items. Each kind and strength has a score; each kind,
  and all of them, the mean over strengths. *Kept* is that score's share of the clean one; its interval draws pictures, both scores
  of a picture together. In \`evaluation.jsonl\` and \`--json\` such lines bear \`corruption\`: \`{of, kind, strength, seed, kept}\`.
  \`compare\` compares the mean of all.
- Features are kept for each kind and strength: 45 times those of the set as it is.

## Comparing runs

\`clipwright compare\` pairs runs by sample. Runs whose recipes differ in the seed alone are one group, whose intervals are over seeds
and samples together. The p-values of all pairs and metrics are corrected together (Holm); two single runs also get McNemar's exact
test. The verdict says by how much one is better, or that they cannot be told apart and what it would take.

Pictures of the test that stand in the training data: [leaks.md](leaks.md). Questions with captions to choose from, and what is read
of Winoground and SugarCrepe: [choices.md](choices.md).

## Conventions that move numbers

- Templates: \`simple\` (one sentence) is the default; papers use \`openai-80\`. Vectors are averaged, not logits.
- Class names: WordNet's own differ from the curated ones for many classes, and cost points.
- Preprocessing is that of the model's file (\`preprocess_cfg\`).
- Features are taken after the projection and brought to length 1, for probes too.
- Captions with the same words are one text, and every picture that bears it is right.
- Equal scores are ranked by order; a constant encoder is not better than chance by it.

## In and out

\`--format jsonl\` (or \`--json\`) prints the lines of \`evaluation.jsonl\`, of several runs with \`run\`. \`--format clip-benchmark\` prints
CLIP_benchmark's results (\`dataset\`, \`model\`, \`pretrained\`, \`task\`, \`metrics\`, \`language\`), \`clip-benchmark-csv\` its table.
\`--save-features FOLDER\` writes \`images.npy\`, \`samples.jsonl\` and, of zero-shot, \`classes.npy\` and \`classes.txt\` for each set.

\`\`\`ts
import { compare, defineSuite, evaluate, openModel } from "clipwright";

const suite = defineSuite({ sets: { photos: { data: "photos/" } } });
const model = await openModel("runs/a");
const scores = await evaluate(model, suite);
await model.close();
\`\`\`
`;
