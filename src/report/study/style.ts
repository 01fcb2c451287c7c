/** What a study's page looks like besides: eight colours that colour-blind people tell apart in both modes, and charts. */

import { inModes } from "../../core/look.js";

/**
 * Light and dark ink of each style, in the order of `SHAPES` (`draw.ts`). Each has a contrast of 3:1 at least to the card that it
 * is drawn on; what is alike to some eyes differs in its shape.
 */
export const inks: readonly (readonly [light: string, dark: string])[] = [
  ["#2f5fd0", "#7ea2ff"],
  ["#c2410c", "#fb923c"],
  ["#0f8a76", "#14b89a"],
  ["#1b1e24", "#f1f5f9"],
  ["#7c3aed", "#a855f7"],
  ["#8a6a00", "#facc15"],
  ["#c2187a", "#f472b6"],
  ["#0284c7", "#67c7f5"],
];

const variables = (mode: 0 | 1): string => inks.map((ink, at) => `--s${at}:${ink[mode]}`).join(";");

/** The styles' colours, as custom properties. */
export const inkStyle = inModes([variables(0), variables(1)]);

export const studyStyle = `
${inkStyle}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:20px;margin-top:18px;align-items:start}
.beside .chart:only-child{max-width:560px}
.chart>svg{display:block;width:100%;height:auto;overflow:visible}
.chart>svg circle,.chart>svg path,.chart>svg line,.chart>svg rect{vector-effect:non-scaling-stroke}
.chart>figcaption{display:block}
.keys{display:flex;flex-wrap:wrap;gap:2px 14px;list-style:none;font-size:13px;color:var(--quiet);margin-top:5px}
.keys li{display:flex;align-items:center;gap:4px}
.keys svg{width:15px;height:15px;flex:none}
details{margin-top:8px;font-size:14px}
summary{cursor:pointer;color:var(--quiet);width:fit-content}
summary:hover{color:var(--ink)}
:focus-visible{outline:2px solid var(--s0);outline-offset:2px;border-radius:3px}
details .wide{max-height:340px;overflow:auto;margin-top:8px}
details table{font-size:13.5px;min-width:0}
details th[scope=row]{color:var(--ink)}
details th,details td{padding:4px 16px 4px 0}
.formula{margin:14px 0 0;font-style:italic}
.laws td,.laws th{white-space:nowrap}.laws td .quiet{font-size:13px}.laws th[scope=row]{color:var(--ink)}
.wide+.plain{margin-top:12px}
.rest{margin-top:16px}.rest>summary{font-size:15px}
.plain{list-style:none;max-width:84ch}.plain li{padding:4px 0}
.plain .quiet{font-size:14px}
.failed li{overflow-wrap:anywhere}
@media (prefers-reduced-motion:reduce){*{scroll-behavior:auto!important;transition:none!important;animation:none!important}}
`;
