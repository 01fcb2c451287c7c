/** `clipwright classify`: how likely pictures are of some classes. */

import { oneLine, UsageError } from "../../../core/errors.js";
import { loadClassNames } from "../../../data/class-names.js";
import { dataFields } from "../../../data/fields.js";
import { openDataset } from "../../../data/index.js";
import { openEngine } from "../../../engines/registry.js";
import { loadModel } from "../../../evaluate/model/load-model.js";
import { calibratedScale, type Scale } from "../../../serve/classify/calibrate.js";
import { embedClasses, guessesOf } from "../../../serve/classify/classify.js";
import { defaulted, flag, integer, list, optional, text } from "../../../settings/fields.js";
import { defineCommand } from "../../command.js";
import { ProgressLine } from "../../progress-line.js";
import { featureOptions, modelOptions, openFeatures } from "../../scoring.js";
import { withStandardInput } from "../../standard-input.js";

export const classifyCommand = defineCommand({
  name: "classify",
  summary: "Tell how likely pictures are of the classes that you name.",
  description:
    "MODEL is a run, or another model as clipwright embed takes it. PICTURES are paths, folders, globs, tables or tars; - is a picture, or a list of paths, on standard input. Probabilities are those of the classes among each other: a picture of none of them is given to one all the same. Of a run with held-out data they are calibrated on those, so that of what is told with 80 % about 80 % is right.",
  positionals: [
    { name: "MODEL", doc: "Run, checkpoint, model folder, name, or file of weights.", required: true },
    { name: "PICTURES", doc: "Files, folders, globs, a table, tars, or -.", required: true, many: true },
  ],
  options: {
    Classes: {
      classes: optional(list(text("NAMES"), { separator: "," }), 'Names, separated by commas: "cat,dog".'),
      classnames: dataFields.classnames,
      templates: optional(
        text("NAME|FILE"),
        "Prompt templates, one a line with {c}, or a set's name (simple, openai-80, …).",
      ),
      top: defaulted(integer(1), 5, "Classes to tell of each picture."),
      calibrate: defaulted(flag(), true, "Fit how sure the model may be on what the run holds out."),
      json: defaulted(
        flag(),
        false,
        "One JSON object a line: key, and all classes with their probabilities.",
      ),
    },
    Model: modelOptions,
    Features: featureOptions,
  },
  brief: ["classes", "classnames", "templates", "top", "json", "engine"],
  examples: [
    ['clipwright classify runs/pets photos/*.jpg --classes "cat,dog,rabbit"', "Three classes."],
    ["clipwright classify runs/pets - --classnames pets.txt --json", "A picture on standard input."],
  ],
  async run({ options, positionals, terminal }) {
    const [path, ...words] = positionals as [string, ...string[]];
    const { classes, classnames, templates, top, calibrate, json, ...rest } = options;
    if ((classes === undefined) === (classnames === undefined)) {
      throw new UsageError(
        `classes: needs either --classes or --classnames; got ${classes === undefined ? "neither" : "both"}. Write e.g. --classes "cat,dog".`,
        { key: "classes" },
      );
    }
    const names = classes ?? loadClassNames(classnames!).names;
    using progress = new ProgressLine(terminal);
    const { say, show } = progress;
    using input = await withStandardInput(words);
    const dataset = await openDataset(input.sources, { captionsOptional: true, onProgress: say });
    await using engine = await openEngine(rest.engine, { ...rest, onChoice: say });
    using model = await loadModel(engine, { path, ...rest, say, progress: show });
    const embedded = await embedClasses(model.encoder, names, { templates });
    using features = openFeatures(model, rest, progress);
    const scale: Scale = calibrate
      ? await calibratedScale(features, model.run, names.length, say)
      : { value: await features.scale(), about: "as the model has learned to be sure" };
    progress.clear();
    terminal.err(`Probabilities: ${oneLine(scale.about)}\n`);
    const { embed_dim: width } = model.clip.config;
    const longest = Math.max(...embedded.names.map((name) => name.length));
    let done = 0;
    for await (const { vectors, indices, skipped } of model.encoder.embedBatches(dataset)) {
      for (const { key, reason } of skipped) say(`Skipped ${key}: ${reason}`);
      for (const [i, sample] of indices.entries()) {
        const { key } = dataset.sample(sample);
        const guesses = guessesOf(embedded, vectors.subarray(i * width, (i + 1) * width), scale.value);
        progress.clear();
        if (json) terminal.out(`${JSON.stringify({ key, classes: guesses })}\n`);
        else {
          const lines = guesses.slice(0, top).map(({ name, probability }) => {
            const percent = `${(100 * probability).toFixed(1)} %`.padStart(7);
            return `  ${name.padEnd(longest)}  ${percent}  ${"█".repeat(Math.round(20 * probability))}`.trimEnd();
          });
          terminal.out(`${oneLine(key)}\n${lines.map((line) => `${oneLine(line)}\n`).join("")}`);
        }
      }
      done += indices.length + skipped.length;
      show({ what: "Classifying", done, total: dataset.length });
    }
    return 0;
  },
});
