/** Where Clipwright keeps what can be fetched or made again: downloads, unpacked images, plugins, compiled programs. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** The whole path of `$CLIPWRIGHT_CACHE`, else of `clipwright` in `$XDG_CACHE_HOME` or `~/.cache`. It may not exist yet. */
export const cacheFolder = (): string =>
  resolve(
    process.env.CLIPWRIGHT_CACHE ||
      join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "clipwright"),
  );
