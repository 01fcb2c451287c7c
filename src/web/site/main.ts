/** The page of a site of files. */

import { Page } from "../../serve/page/page.js";
import { siteSource } from "./source.js";

await new Page(await siteSource(new URL(".", location.href))).start();
