/** Every target, one file a format or a family of formats. */
import type { FuzzTarget } from "../target.js";
import { clipVocabulary, npy, pictures, safetensors, tokenizerJson } from "./files.js";
import { clipFolder, pytorch } from "./models.js";
import { runFolder } from "./run-folder.js";
import { csv, jsonl, parquet, tar } from "./sources.js";

export const targets: readonly FuzzTarget[] = [
  tar,
  parquet,
  csv,
  jsonl,
  safetensors,
  npy,
  tokenizerJson,
  clipVocabulary,
  pictures,
  pytorch,
  clipFolder,
  runFolder,
];
