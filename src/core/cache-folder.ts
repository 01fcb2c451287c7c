/** Where Clipwright keeps what can be fetched or made again: downloads, unpacked images, plugins, compiled programs. */
import { homedir } from "node:os";
import { join } from "node:path";

/** `$CLIPWRIGHT_CACHE`, else `clipwright` in `$XDG_CACHE_HOME` or `~/.cache`. It may not exist yet. */
export const cacheFolder = (): string =>
  process.env.CLIPWRIGHT_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "clipwright");
