/** The look of a report page, and the few lines of script that show a chart's values under the pointer. */

import { baseStyle } from "../../core/look.js";

export const pageStyle = `${baseStyle}main{max-width:1120px;margin:0 auto;padding:56px 32px 40px}
h1{font-size:38px;line-height:1.15;letter-spacing:-.022em;margin:0 0 12px;text-wrap:balance}
h2{font-size:23px;line-height:1.25;letter-spacing:-.012em;margin:0 0 6px}
h3{font-size:15px;line-height:1.35;margin:0}
h4{font-size:13.5px;line-height:1.3;margin:0}
section{margin-top:60px}
.summary{font-size:18px;line-height:1.5;color:var(--quiet)}
.lead,.quiet,.chart p,.query figcaption b{color:var(--quiet)}
.lead{margin-bottom:20px}
.lead b{color:var(--ink)}
.headline{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:14px;margin-top:32px}
.headline>div{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:15px 18px;box-shadow:var(--shadow)}
.headline dt{font-size:13px;color:var(--quiet)}
.headline dd{font-size:31px;line-height:1.2;font-weight:650;letter-spacing:-.02em;margin-top:3px}
.headline dd.quiet{font-size:13px;line-height:1.4;font-weight:400;letter-spacing:0}
.scores{border-top:1px solid var(--line);padding:15px 0 12px}
.scores h3{margin-bottom:5px}
.score{display:grid;grid-template-columns:210px 1fr 76px 250px;gap:0 16px;align-items:center;min-height:30px;font-size:15px}
.score b{text-align:right}
.score .quiet{font-size:13.5px;line-height:1.4;padding:3px 0}
.score em{display:block;font-style:normal;color:var(--c1)}
.caution{border-left:3px solid var(--c1);padding-left:12px}
.track{position:relative;height:22px;background:linear-gradient(var(--line),var(--line)) 0 50%/100% 1px no-repeat}
.track i{position:absolute}
.track .bar{top:9px;height:4px;border-radius:2px;background:var(--c0);opacity:.5;min-width:2px}
.track .dot{top:7px;width:8px;height:8px;margin-left:-4px;border-radius:50%;background:var(--c0)}
.track .mark{top:3px;height:16px;width:2px;margin-left:-1px;background:var(--c1)}
.chance-key{border-left:2px solid var(--c1);padding-left:5px}
.axis{min-height:18px;color:var(--quiet);font-size:12.5px}
.axis .track{background:none;height:16px}
.axis i{font-style:normal;white-space:nowrap;transform:translateX(-50%)}
.axis .first{transform:none}.axis .last{transform:translateX(-100%)}
.score>span:first-child{overflow-wrap:anywhere}
.quieter .track .bar,.quieter .track .dot{background:var(--quiet)}
.versus{margin-top:14px}
.verdicts{list-style:none;margin-top:12px;max-width:84ch}
.verdicts li{padding:3px 0}.verdicts b{font-weight:650}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:20px;margin-top:18px}
.chart{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 18px 13px;box-shadow:var(--shadow);min-width:0}
.chart figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:2px 14px;margin-bottom:8px}
.chart p{font-size:13.5px;line-height:1.45;margin:6px 0 0}
.plot{position:relative;touch-action:pan-y}
.plot>svg{display:block;width:100%;height:auto;overflow:visible}
.chart text{font-size:12px;fill:var(--quiet)}
.chart .grid{stroke:var(--grid)}.chart .base{stroke:var(--line)}
.line{fill:none;stroke-width:1.9;stroke-linejoin:round;stroke-linecap:round}
.line.faint{stroke-width:.8;opacity:.35}
.line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}.line.c3{stroke:var(--c3)}
.band{opacity:.15}
.band.c0,circle.c0{fill:var(--c0)}.band.c1,circle.c1{fill:var(--c1)}.band.c2,circle.c2{fill:var(--c2)}.band.c3,circle.c3{fill:var(--c3)}
line.reference{stroke:var(--quiet);stroke-dasharray:3 4}
.chart text.reference{font-size:11.5px;paint-order:stroke;stroke:var(--card);stroke-width:3px}
.cursor{stroke:var(--quiet);display:none}.on .cursor{display:block}
.hover{position:absolute;top:0;display:none;pointer-events:none;background:var(--ink);color:var(--paper);border-radius:7px;padding:6px 9px;font-size:12.5px;line-height:1.45;white-space:nowrap;z-index:1}
.on .hover{display:block}
.legend{display:flex;flex-wrap:wrap;gap:0 14px;list-style:none;font-size:13px;color:var(--quiet);align-items:center}
.legend li{display:flex;align-items:center;gap:6px}
.legend li::before{content:"";width:14px;height:3px;border-radius:2px;background:currentColor}
.legend .c0::before{background:var(--c0)}.legend .c1::before{background:var(--c1)}.legend .c2::before{background:var(--c2)}.legend .c3::before{background:var(--c3)}
.legend .faint::before{opacity:.4;height:2px}
.marks{margin:-6px 0 14px;font-size:13.5px}
.marks li::before,.picture h4::after{content:"✓";font-weight:700;width:auto;height:auto;background:none!important;color:var(--right)}
.marks .near::before,.near h4::after{content:"≈";color:var(--near)}
.marks .wrong::before,.wrong h4::after{content:"✗";color:var(--wrong)}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(164px,1fr));gap:14px}
.picture{background:var(--card);border:1px solid var(--line);border-top:3px solid var(--right);border-radius:10px;padding:12px;box-shadow:var(--shadow);min-width:0}
.picture.near{border-top-color:var(--near)}.picture.wrong{border-top-color:var(--wrong)}
.picture img{display:block;width:100%;height:92px;object-fit:contain;background:var(--thumb);border-radius:7px;padding:6px;margin-bottom:9px}
.picture h4{display:flex;gap:6px;justify-content:space-between;align-items:start;min-height:2.6em;overflow-wrap:anywhere}
.picture ol{list-style:none;margin-top:6px;font-size:13px;line-height:1.35;color:var(--quiet)}
.picture li{display:grid;grid-template-columns:1fr auto;gap:0 8px;margin-top:4px}
.picture li span{overflow:hidden;overflow-wrap:anywhere;hyphens:auto;display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical}
.picture li b{font-weight:400}
.picture li i{grid-column:1/-1;height:2px;border-radius:1px;background:var(--quiet);opacity:.4}
.picture li.true{color:var(--ink);font-weight:600}
.picture li.true i{background:var(--right);opacity:1}
.query{border-top:1px solid var(--line);padding:14px 0 16px;display:grid;grid-template-columns:210px 1fr;gap:8px 16px;align-items:center}
.query h3{font-size:16px;overflow-wrap:anywhere}
.found{display:grid;grid-template-columns:repeat(auto-fill,minmax(84px,1fr));gap:10px}
.found figure{min-width:0}
.found img{display:block;width:100%;height:76px;object-fit:contain;background:var(--thumb);border:1px solid var(--line);border-radius:8px;padding:7px}
.found .right img{border-color:var(--right);box-shadow:0 0 0 2px var(--right)}
.found figcaption{font-size:13px;line-height:1.3;margin-top:6px;display:-webkit-box;-webkit-line-clamp:3;-webkit-box-orient:vertical;overflow:hidden;overflow-wrap:anywhere}
.found figcaption b{font-weight:400}
.wide{overflow-x:auto;margin-top:14px}
.number{text-align:right}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:0 40px;margin-top:14px}
.facts div{display:flex;justify-content:space-between;gap:16px;padding:7px 0;border-bottom:1px solid var(--line);font-size:14.5px}
.facts dt{color:var(--quiet);white-space:nowrap}.facts dd{text-align:right;overflow-wrap:anywhere;min-width:0}
.licences{list-style:none;font-size:14.5px;columns:2;column-gap:40px}
.licences li{padding:3px 0;break-inside:avoid;overflow-wrap:anywhere}
footer{margin-top:64px;padding-top:16px;border-top:1px solid var(--line);font-size:13px;color:var(--quiet)}
@media (max-width:720px){
main{padding:30px 18px 28px}h1{font-size:29px}h2{font-size:20px}section{margin-top:44px}.summary{font-size:16.5px}
.headline{grid-template-columns:1fr 1fr;gap:10px}.headline>div{padding:12px 14px}.headline dd{font-size:25px}
.score{grid-template-columns:1fr auto;gap:0 10px;padding:5px 0}
.score .track{grid-row:2;grid-column:1/-1}.score>.quiet{grid-row:3;grid-column:1/-1}
.score>span:empty,.axis span:not(.track){display:none}.axis .track{grid-row:1}
.chart{padding:13px 13px 11px}.chart text{font-size:14.5px}.chart text.reference{font-size:14px}
.pictures{grid-template-columns:1fr 1fr;gap:10px}
.query{grid-template-columns:1fr}.found{grid-template-columns:repeat(4,1fr)}
.licences{columns:1}}
@media print{.chart,.picture,.query{break-inside:avoid}}
`;

/** Shows the nearest point of every line under the pointer; without it the page misses nothing but that. */
export const pageScript = `
for (const plot of document.querySelectorAll(".plot")) {
  const data = JSON.parse(plot.querySelector("script").textContent);
  const svg = plot.querySelector("svg"), cursor = plot.querySelector(".cursor"), box = plot.querySelector(".hover");
  const number = (v) => v.toLocaleString("en-US", { maximumSignificantDigits: 4 });
  plot.addEventListener("pointerleave", () => plot.classList.remove("on"));
  plot.addEventListener("pointermove", (event) => {
    const area = svg.getBoundingClientRect();
    const at = ((event.clientX - area.left) / area.width) * data.width;
    const near = data.lines.filter((line) => line.points.length > 0).map((line) =>
      [line, line.points.reduce((a, b) => (Math.abs(b[2] - at) < Math.abs(a[2] - at) ? b : a))]);
    if (near.length === 0) return;
    const x = near[0][1][2];
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    box.replaceChildren(...[near[0][1][0].toLocaleString("en-US") + " " + data.x,
      ...near.map(([line, point]) => line.name + " " + number(point[1]) + data.unit)].map((text) => {
      const row = document.createElement("div");
      row.textContent = text;
      return row;
    }));
    plot.classList.add("on");
    const left = (x / data.width) * area.width;
    box.style.left = (left > area.width / 2 ? left - box.offsetWidth - 10 : left + 10) + "px";
  });
}
`;
