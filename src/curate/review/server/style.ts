/** The look of the review's page, light and dark, from a phone's width on. */

import { baseStyle, controlsStyle } from "../../../core/look.js";

export const reviewStyle = `${baseStyle}${controlsStyle}html{scroll-padding-bottom:90px}
h1{font-size:17px;line-height:1.3;margin:0;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:21px;line-height:1.25;letter-spacing:-.012em;margin:0 0 8px}
h3{font-size:15px;margin:16px 0 4px}
header{border-bottom:1px solid var(--line);padding:12px 28px 10px;background:var(--card)}
.head{display:flex;justify-content:space-between;align-items:center;gap:16px;max-width:1320px;margin:0 auto}
nav{display:flex;gap:8px;flex:none}
.progress{display:flex;align-items:center;gap:14px;max-width:1320px;margin:8px auto 0;font-size:14px;color:var(--quiet)}
.progress p{margin:0;max-width:none}
progress{appearance:none;width:180px;height:6px;border:0;border-radius:3px;background:var(--line);flex:none;overflow:hidden}
progress::-webkit-progress-bar{background:var(--line)}
progress::-webkit-progress-value{background:var(--right);border-radius:3px}
progress::-moz-progress-bar{background:var(--right)}
#filter{display:flex;flex-wrap:wrap;gap:10px 16px;align-items:end;max-width:1320px;margin:12px auto 2px;font-size:14px}
#filter label{display:grid;gap:3px}
#filter fieldset{border:0;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:6px;align-items:center}
#filter legend{padding:0;margin-bottom:3px}
#filter input[type=number]{width:112px}
#found{margin:0 0 8px;color:var(--quiet)}
main{max-width:1376px;margin:0 auto;padding:24px 28px 72px}
#single{display:grid;grid-template-columns:minmax(0,1.45fr) minmax(330px,1fr);gap:32px;align-items:start}
#single figure{background:var(--card);border:1px solid var(--line);border-radius:14px;height:min(72vh,760px);display:grid;place-items:center;overflow:hidden;position:sticky;top:16px;box-shadow:var(--shadow)}
#picture{display:block;width:100%;height:100%;min-height:0;object-fit:contain;grid-area:1/1}
#broken{grid-area:1/1;margin:0;padding:20px;color:var(--wrong);text-align:center}
.side{display:flex;flex-direction:column;gap:14px;min-width:0}
.side p{margin:0;max-width:none}
#where{font-size:13px;overflow-wrap:anywhere}
.caption{font-size:25px;line-height:1.32;letter-spacing:-.01em;overflow-wrap:anywhere;white-space:pre-wrap;max-height:38vh;overflow:auto}
#others{list-style:none;font-size:14.5px;line-height:1.45;display:grid;gap:4px;overflow-wrap:anywhere}
#others:empty{display:none}
#others li{padding-left:12px;border-left:2px solid var(--line)}
#class-part{display:grid;gap:8px}
#classes button{padding:4px 10px;min-height:34px;font-weight:450;max-width:100%;overflow-wrap:anywhere}
#classes button[aria-pressed=true]{font-weight:650}
#class{flex:1 1 120px;min-width:0}
#edit{display:grid;gap:8px}
textarea{width:100%;resize:vertical;line-height:1.4}
.said{font-size:14px;border-left:3px solid var(--c0);padding:2px 0 2px 12px;overflow-wrap:anywhere}
.said div+div{margin-top:2px}
#trouble:empty,#copies-trouble:empty{display:none}
#trouble,#copies-trouble{color:var(--wrong);font-weight:550}
.verdicts button{flex:1 1 96px;min-height:50px;white-space:nowrap}
.verdicts kbd{margin-right:4px}
.keep{border-color:var(--right);box-shadow:inset 0 0 0 1px var(--right)}
.drop{border-color:var(--wrong);box-shadow:inset 0 0 0 1px var(--wrong)}
.keep[aria-pressed=true]{background:color-mix(in srgb,var(--right) 18%,var(--card))}
.drop[aria-pressed=true]{background:color-mix(in srgb,var(--wrong) 18%,var(--card))}
.switch{display:flex;gap:8px;align-items:center;font-size:14.5px;margin-left:auto;min-height:40px;cursor:pointer}
.switch input{min-height:0;width:18px;height:18px;margin:0;accent-color:var(--c0)}
.scores{display:grid;font-size:14.5px}
.scores div{display:flex;justify-content:space-between;gap:16px;padding:5px 0;border-bottom:1px solid var(--line)}
.scores dt{color:var(--quiet);overflow-wrap:anywhere}.scores dd{text-align:right;overflow-wrap:anywhere}
#nothing{max-width:60ch;margin:14vh auto 0;text-align:center}
#nothing p{margin-inline:auto}
.group{border-top:1px solid var(--line);padding:18px 0 22px}
.group:first-child{border-top:0}
.members{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:14px;margin-top:10px}
.member{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:10px;min-width:0;display:flex;flex-direction:column;gap:8px;box-shadow:var(--shadow)}
.member.first{border-color:var(--c0)}
.member.same{border-color:var(--wrong)}.member.different{border-color:var(--right)}
.member img{display:block;width:100%;height:170px;object-fit:contain;border-radius:8px;background:var(--grid)}
.member p{margin:0;font-size:14px;line-height:1.4;overflow-wrap:anywhere;display:-webkit-box;-webkit-line-clamp:3;-webkit-box-orient:vertical;overflow:hidden}
.member .row{margin-top:auto}.member .row button{flex:1;padding:4px 8px;min-height:36px;font-size:14px}
.member b{font-size:13px;font-weight:600}
#who{width:min(420px,94vw)}
#who form{display:grid;gap:10px}
#who p{margin:0;color:var(--quiet)}
dialog form:not(#who-form){margin-top:16px}
.keys+p{margin-top:16px}
.wide{overflow-x:auto;margin-top:12px}
#reviewers{width:100%}
#conflicts ul{list-style:none;font-size:14.5px;overflow-wrap:anywhere}
#conflicts li{padding:6px 0;border-bottom:1px solid var(--line)}
#conflicts button{padding:2px 8px;min-height:32px;margin-right:8px;overflow-wrap:anywhere;text-align:left}
@media (max-width:820px){
header{padding:10px 16px 8px}
.head{flex-wrap:wrap;gap:8px}nav{flex-wrap:wrap}nav button{padding:4px 10px;min-height:40px;font-size:14px}
.progress{flex-wrap:wrap;gap:4px 12px}progress{width:100%}
main{padding:14px 16px 150px}
#single{grid-template-columns:minmax(0,1fr);gap:16px}
#single figure{position:static;height:min(44vh,420px)}
.caption{font-size:20px}
.verdicts{position:fixed;left:0;right:0;bottom:0;padding:10px 12px calc(10px + env(safe-area-inset-bottom));background:var(--card);border-top:1px solid var(--line);z-index:1;flex-wrap:nowrap;gap:6px}
.verdicts button{flex:1 1 0;padding:6px 4px;min-width:0}.verdicts kbd{display:none}
.told{bottom:84px}
.members{grid-template-columns:1fr 1fr;gap:10px}.member img{height:130px}
dialog{padding:18px}
}
`;
