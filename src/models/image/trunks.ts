/** The families of timm's models that are built. A new one is a file with a `TrunkFamily`, and a line here. */

import { convNext } from "./convnext.js";
import { mixer } from "./mixer.js";
import { resnet } from "./resnet.js";
import { swin } from "./swin.js";
import type { TrunkFamily } from "./trunk.js";

export const trunkFamilies: readonly TrunkFamily[] = [resnet, convNext, swin, mixer];
