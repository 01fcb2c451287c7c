/** The look of the page, light and dark, from a phone's width on. */

import { baseStyle, controlsStyle } from "../../core/look.js";

export const pageStyle = `${baseStyle}${controlsStyle}
:root{--k0:#2f5fd0;--k1:#b5460f;--k2:#14866d;--k3:#9a4fb0;--k4:#a37b00;--k5:#c2326e;--k6:#3f7d9c;--k7:#6b7a2f}
@media (prefers-color-scheme:dark){:root{--k0:#7ea2ff;--k1:#f0905a;--k2:#4fc3a1;--k3:#cf93e2;--k4:#e3b93f;--k5:#f283ab;--k6:#77bcd8;--k7:#b3c46b}}
h1{font-size:18px;line-height:1.3;margin:0;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:17px;line-height:1.25;margin:0 0 6px}
header{border-bottom:1px solid var(--line);background:var(--card);padding:14px 28px 12px}
header>*,main,#training>*{max-width:1480px;margin-inline:auto}
.head{display:flex;justify-content:space-between;align-items:center;gap:16px}
.name{display:flex;gap:4px 14px;align-items:baseline;flex-wrap:wrap;min-width:0}
.name p{margin:0;font-size:14px;overflow-wrap:anywhere}
nav{display:flex;gap:8px;flex:none}
#search{display:flex;gap:8px;margin-top:12px}
#search input[type=search]{flex:1;min-width:0;font-size:18px;padding:9px 16px;min-height:48px;border-radius:12px}
#search button{min-height:48px;border-radius:12px}
.filters{display:flex;flex-wrap:wrap;gap:8px 18px;align-items:center;margin-top:10px;font-size:14px}
.filters label{display:flex;gap:8px;align-items:center}
.filters>label>*{min-height:36px;padding:4px 10px;max-width:220px}
details{flex:1 1 100%}
summary{cursor:pointer;font-weight:550;width:fit-content;padding:4px 0}
#class-form{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,1fr);gap:2px 14px;grid-auto-flow:column;grid-template-rows:auto auto;margin:4px 0}
#class-form label{color:var(--quiet)}
#class-form textarea{resize:vertical;min-height:56px;line-height:1.4}
#template{align-self:start;min-height:40px}
main{padding:16px 28px 72px}
.shares{display:flex;flex-wrap:wrap;gap:6px;margin-bottom:10px}
.shares button{min-height:36px;padding:4px 12px;font-size:14.5px;border-radius:18px;overflow-wrap:anywhere}
.asked{display:flex;gap:14px;align-items:center;margin-bottom:10px;min-width:0}
.asked img,.asked canvas{max-width:84px;max-height:84px;border-radius:10px;background:var(--thumb)}
.asked p{margin:0;overflow-wrap:anywhere}
.count{margin:0 0 12px;font-size:14px;max-width:none}
#trouble{color:var(--wrong);font-weight:550}
#trouble:empty{display:none}
.views{display:grid;grid-template-columns:minmax(0,1fr);gap:28px;align-items:start}
.open .views{grid-template-columns:minmax(0,1fr) 340px}
.grid{list-style:none;display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:18px 14px;transition:opacity .15s}
.busy .grid{opacity:.55}
.card{display:block;width:100%;text-align:left;border:0;background:none;padding:0;min-height:0;font-weight:400;border-radius:14px}
.frame{display:block;position:relative;aspect-ratio:1;border-radius:14px;background:#fff;border:1px solid var(--line);overflow:hidden;box-shadow:var(--shadow)}
.frame img{display:block;width:100%;height:100%;object-fit:contain}
.card:hover .frame{border-color:var(--quiet)}
.card[aria-current] .frame{border-color:var(--c0);box-shadow:0 0 0 2px var(--c0)}
.words{display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden;font-size:13.5px;line-height:1.35;margin:7px 2px 0;overflow-wrap:anywhere}
.score{display:block;font-size:12.5px;color:var(--quiet);margin:1px 2px 0}
.badge{position:absolute;left:6px;bottom:6px;max-width:calc(100% - 12px);background:var(--ink);color:var(--paper);font-size:12px;line-height:1.3;font-weight:600;padding:3px 8px;border-radius:9px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
#more{display:block;margin:26px auto 0;padding-inline:28px}
.map{position:relative}
#map{display:block;width:100%;height:min(68vh,820px);border:1px solid var(--line);border-radius:14px;background:var(--card);touch-action:none;cursor:grab}
#map:active{cursor:grabbing}
.zoom{position:absolute;right:12px;top:12px;display:flex;gap:6px}
.zoom button{min-width:40px}
#map-state{position:absolute;left:16px;bottom:12px;margin:0;font-size:14px;pointer-events:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin-bottom:10px;font-size:14px}
.legend li::before{content:"";display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:7px;background:var(--quiet)}
${Array.from({ length: 8 }, (_, c) => `.legend .k${c}::before{background:var(--k${c})}`).join("")}
#detail{position:sticky;top:16px;background:var(--card);border:1px solid var(--line);border-radius:16px;padding:16px;box-shadow:var(--shadow);display:flex;flex-direction:column;gap:12px;max-height:calc(100vh - 40px);overflow:auto}
#detail figure{background:#fff;border-radius:12px;position:relative;aspect-ratio:1;overflow:hidden;flex:none}
#detail img{position:absolute;inset:0;width:100%;height:100%;object-fit:contain}
.caption{font-size:17px;line-height:1.4;margin:0;overflow-wrap:anywhere}
.facts{display:grid;gap:3px;font-size:14px}
.facts div{display:flex;gap:14px;justify-content:space-between}
.facts dt{color:var(--quiet)}.facts dd{text-align:right;overflow-wrap:anywhere}
.bars{list-style:none;display:grid;gap:7px;font-size:14.5px}
.bars li{display:grid;grid-template-columns:1fr auto;gap:1px 10px}
.bars .class{overflow-wrap:anywhere}
.bar{grid-column:1/-1;height:6px;border-radius:3px;background:var(--grid);overflow:hidden}
.bar::before{content:"";display:block;height:100%;width:calc(100% * var(--share));background:var(--c0);border-radius:3px;transition:width .25s}
.drop{position:fixed;inset:0;z-index:4;background:color-mix(in srgb,var(--c0) 22%,var(--paper));display:grid;place-items:center;border:4px dashed var(--c0);pointer-events:none}
.drop p{font-size:24px;font-weight:600;background:var(--card);padding:14px 22px;border-radius:14px}
#training{padding:14px 28px;border-bottom:1px solid var(--line)}
.wide-facts{display:flex;flex-wrap:wrap;gap:4px 26px}
.wide-facts div{display:block}
.wide-facts dd{text-align:left;font-weight:600;font-size:16px}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px;margin-top:12px}
.curves figure{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:9px 12px}
.curves figcaption{display:flex;justify-content:space-between;gap:10px;font-size:13.5px;color:var(--quiet)}
.curves b{color:var(--ink);white-space:nowrap}
.curves svg{display:block;width:100%;height:auto;margin-top:4px}
.curves polyline{fill:none;stroke:var(--c0);stroke-width:1.8;stroke-linejoin:round;vector-effect:non-scaling-stroke}
.warnings{list-style:none;margin-top:12px;font-size:14.5px;display:grid;gap:4px}
.warnings li{border-left:3px solid var(--near);padding-left:10px;overflow-wrap:anywhere}
@media (max-width:820px){
header{padding:10px 14px}
.head{align-items:flex-start}h1{font-size:16px}
.name{flex-direction:column;gap:0}
main{padding:12px 14px 60px}
#training{padding:12px 14px}
#search{flex-wrap:wrap}
#search input[type=search]{flex:1 1 100%;font-size:17px}
#search button{flex:1}
.filters>label>*{max-width:52vw}
#class-form{grid-template-columns:minmax(0,1fr);grid-auto-flow:row;grid-template-rows:none}
.grid{grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:14px 10px}
.open .views{grid-template-columns:minmax(0,1fr)}
#detail{position:fixed;inset:auto 0 0 0;z-index:3;border-radius:18px 18px 0 0;max-height:72vh;padding-bottom:calc(16px + env(safe-area-inset-bottom));box-shadow:0 -8px 30px #0004}
#detail figure{aspect-ratio:auto;height:30vh}
#map{height:62vh}
.curves{grid-template-columns:1fr 1fr;gap:8px}
.told{bottom:14px}
}
`;
