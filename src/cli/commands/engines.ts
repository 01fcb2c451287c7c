/** `clipwright engines`: what can compute here, and bringing what cannot yet. */

import { UsageError } from "../../core/errors.js";
import { installPlugin } from "../../engines/install/install.js";
import { pluginSets, pluginState } from "../../engines/install/plugins.js";
import { engineChoices, formatEngines, listEngines, openEngine } from "../../engines/registry.js";
import { rememberedSelfTest } from "../../engines/self-test.js";
import { choice, defaulted, flag, optional, text } from "../../settings/fields.js";
import { defineCommand, notesOn } from "../command.js";

/** Options of every command that computes. */
export const engineOptions = {
  engine: defaulted(
    choice([...engineChoices]),
    "auto",
    "What computes; auto: the best that is installed here. See: clipwright engines.",
  ),
  plugin: optional(
    text("NAME|FILE"),
    "XLA's plugin: xla-cpu, xla-cuda13, or a library's path; else the best that can be used here.",
  ),
};

export const enginesCommand = defineCommand({
  name: "engines",
  summary: "List the engines and which can be used here; install XLA's plugins.",
  description:
    "Without words: the list. `install NAME` brings a plugin and its libraries by pip, in the versions that were tested and checked against their hashes, into the cache folder (CLIPWRIGHT_CACHE, else ~/.cache/clipwright); Python is not used after that.",
  positionals: [
    { name: "install", doc: "Install a plugin.", required: false },
    { name: "NAME", doc: `One of ${Object.keys(pluginSets).join(", ")}.`, required: false },
  ],
  options: {
    Install: {
      wheels: optional(text("FOLDER"), "Take the wheels from a folder instead of the network."),
      untested: defaulted(
        flag(),
        false,
        "Take what lies in --wheels, of versions that were not tested here.",
      ),
    },
    Output: { json: defaulted(flag(), false, "Print the list as JSON.") },
  },
  examples: [
    ["clipwright engines --json", "What can be used here, and why not, for a script."],
    ["clipwright engines install xla-cuda13", "For NVIDIA GPUs, about 4 GB."],
  ],
  async run({ options, positionals, terminal }) {
    const [word, name] = positionals;
    if (word === undefined) {
      terminal.out(options.json ? `${JSON.stringify(listEngines(), null, 2)}\n` : formatEngines());
      return 0;
    }
    if (word !== "install" || name === undefined) {
      throw new UsageError(
        `engines: needs no word, or: install ${Object.keys(pluginSets).join(" | ")}; got ${positionals.join(" ")}.`,
      );
    }
    const { path } = await installPlugin(name, {
      wheels: options.wheels,
      untested: options.untested,
      onProgress: notesOn(terminal),
    });
    terminal.out(`${path}\n`);
    const { why } = pluginState(name);
    if (why !== undefined) return 0;
    const { engine } = pluginSets[name]!;
    await using opened = await openEngine(engine, { plugin: engine === "xla" ? name : undefined });
    const { f32, bf16 } = await rememberedSelfTest(opened, path);
    terminal.err(
      `${name}: self-test: f32 ${f32 ?? "right"}; bf16 ${bf16 ?? "right"}. Not used where it is wrong.\n`,
    );
    return f32 === undefined ? 0 : 1;
  },
});
