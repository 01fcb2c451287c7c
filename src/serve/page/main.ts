/** The page of a server. */

import { Page } from "./page.js";
import { serverSource } from "./server-source.js";

await new Page(serverSource()).start();
