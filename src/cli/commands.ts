/** The registry: every command, in the order of the help. */

import type { Command } from "./command.js";
import { augmentCommand } from "./commands/augment.js";
import { benchCommand } from "./commands/bench.js";
import { embedCommand } from "./commands/embed.js";
import { enginesCommand } from "./commands/engines.js";
import { evaluateCommand } from "./commands/evaluate.js";
import { inspectCommand } from "./commands/inspect.js";
import { modelsCommand } from "./commands/models.js";
import { reportCommand } from "./commands/report.js";
import { strategiesCommand } from "./commands/strategies.js";
import { trainCommand } from "./commands/train.js";

export const commands: readonly Command[] = Object.freeze([
  inspectCommand,
  augmentCommand,
  trainCommand,
  evaluateCommand,
  embedCommand,
  reportCommand,
  modelsCommand,
  strategiesCommand,
  benchCommand,
  enginesCommand,
]);
