/** Every target, one file a format or a family of formats. */
import type { FuzzTarget } from "../target.js";
import { runFolder } from "./run-folder.js";
import { csv, jsonl, parquet, tar } from "./sources.js";

export const targets: readonly FuzzTarget[] = [tar, parquet, csv, jsonl, runFolder];
