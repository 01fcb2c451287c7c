/** The families of timm's models that are built. A new one is a file with a `TrunkFamily`, and a line here. */

import type { TrunkFamily } from "./timm.js";

export const trunkFamilies: readonly TrunkFamily[] = [];
