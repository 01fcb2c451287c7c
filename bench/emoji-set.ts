/** The demo's data and text tower, for benches that train other image towers on them. */

import { existsSync } from "node:fs";
import demo from "../recipes/emoji-demo.js";
import type { ClipConfig } from "../src/models/config/config.js";

const STYLE = "examples/emoji/data/fluent-emoji-flat";

/** Throws where `npm run demo` has not yet made the data. */
export function requireEmoji(): void {
  if (!existsSync(STYLE)) throw new Error(`${STYLE} is not there: run npm run demo once`);
}

/** The image tower of `config` under the demo's text tower. */
export function withDemoText(config: ClipConfig): ClipConfig {
  const { text_cfg, embed_dim } = demo.model as unknown as ClipConfig;
  return { ...config, embed_dim, text_cfg };
}

/** Words for `clipwright` that score the weights in `run` on the style that was not trained on, as JSON. */
export const scoreWords = (run: string): string[] => [
  ...["evaluate", run, "--data", `${STYLE}/test/0.tar`, "--task", "zeroshot", "--json"],
  ...["--classnames", `${STYLE}/classnames.txt`],
  ...["--templates", `${STYLE}/zeroshot_classification_templates.txt`],
];
