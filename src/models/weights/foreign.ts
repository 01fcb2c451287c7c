/** Weights that are not open_clip's safetensors, told apart by their place, their first bytes or their names. */

import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";

/** Turns what PyTorch wrote into safetensors; `module.` is what DistributedDataParallel puts before the names. */
const CONVERT =
  "Convert it in Python: c = torch.load(FILE, weights_only=True); c = c.get('state_dict', c); safetensors.torch.save_file({k.removeprefix('module.'): v.contiguous() for k, v in c.items()}, 'model.safetensors').";

/** Throws a `UsageError` with the remedy for a name that open_clip would look up, and for a file or folder of PyTorch's. */
export function refuseForeignPlace(path: string): void {
  const [, scheme, rest = ""] = /^(hf-hub|local-dir):(.*)$/.exec(path) ?? [];
  if (scheme === "hf-hub") {
    const [repository] = rest.split("@");
    throw new UsageError(
      `${path}: models of the Hugging Face hub are not fetched. Download it (hf download ${repository} --local-dir FOLDER), and give the folder.`,
    );
  }
  if (scheme === "local-dir") {
    throw new UsageError(`${path}: folders are given without local-dir:. Give ${rest || "the folder"}.`);
  }
}

/** Names of weights as PyTorch saves them, in folders from the Hugging Face hub. */
const PICKLED = ["open_clip_pytorch_model.bin", "pytorch_model.bin", "open_clip_model.pt"];

/** Throws where a folder holds no safetensors but weights of PyTorch's own form. */
export function refusePickledFolder(folder: string): void {
  const file = PICKLED.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (file !== undefined) throw pickled(file);
}

/** Throws for a file of PyTorch's own form: a zip (since 1.6) or a pickle, by its first bytes. */
export function refusePickledFile(path: string): void {
  const head = Buffer.alloc(4);
  withFileErrors("read", path, () => {
    const fd = openSync(path, "r");
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  });
  const isZip = head.toString("latin1") === "PK\x03\x04";
  const isPickle = head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5;
  if (isZip || isPickle) throw pickled(path);
}

const pickled = (path: string): UsageError =>
  new UsageError(`${path}: is of PyTorch's own form (.pt, .bin), not safetensors. ${CONVERT}`, {
    file: path,
  });

/** Throws for names that are not open_clip's but those of a layout that is known. */
export function refuseForeignNames(path: string, names: readonly string[]): void {
  if (names.some((name) => /^(?:text_model|vision_model)\./.test(name))) {
    throw new UsageError(
      `${path}: its names are those of Hugging Face's CLIPModel (text_model., vision_model.), not open_clip's. Take open_clip's file of the same model, open_clip_model.safetensors, which most repositories have beside it.`,
      { file: path },
    );
  }
  if (names.length > 0 && names.every((name) => name.startsWith("module."))) {
    throw new UsageError(
      `${path}: every name begins with module., as several processes train in PyTorch. Save it without: safetensors.torch.save_file({k.removeprefix('module.'): v for k, v in safetensors.torch.load_file(FILE).items()}, 'model.safetensors').`,
      { file: path },
    );
  }
}
