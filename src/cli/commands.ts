/** The registry: every command, in the order of the help. None is loaded before it is called. */

import { type CommandEntry, entry } from "./command.js";
import { curateCommands } from "./commands/curate/index.js";
import { useCommands } from "./commands/use/index.js";

export const commands: readonly CommandEntry[] = Object.freeze([
  entry("inspect", async () => (await import("./commands/inspect.js")).inspectCommand),
  entry("augment", async () => (await import("./commands/augment.js")).augmentCommand),
  ...curateCommands,
  entry("init", async () => (await import("./commands/init.js")).initCommand),
  entry("plan", async () => (await import("./commands/plan.js")).planCommand),
  entry("train", async () => (await import("./commands/train.js")).trainCommand),
  entry("evaluate", async () => (await import("./commands/evaluate.js")).evaluateCommand),
  entry("compare", async () => (await import("./commands/compare.js")).compareCommand),
  entry("runs", async () => (await import("./commands/runs.js")).runsCommand),
  entry("study", async () => (await import("./commands/study.js")).studyCommand),
  entry("embed", async () => (await import("./commands/embed.js")).embedCommand),
  ...useCommands,
  entry("export", async () => (await import("./commands/export.js")).exportCommand),
  entry("report", async () => (await import("./commands/report.js")).reportCommand),
  entry("models", async () => (await import("./commands/models.js")).modelsCommand),
  entry("strategies", async () => (await import("./commands/strategies.js")).strategiesCommand),
  entry("bench", async () => (await import("./commands/bench.js")).benchCommand),
  entry("engines", async () => (await import("./commands/engines.js")).enginesCommand),
]);
