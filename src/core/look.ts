/** The look that every page has in common: colours by what they mean, light and dark, and plain text. */

/** Custom properties that are one thing in light and another in dark. */
export const inModes = ([light, dark]: readonly [light: string, dark: string]): string =>
  `:root{${light}}@media (prefers-color-scheme:dark){:root{${dark}}}`;

/** Colours by what they mean. */
export const colours = [
  "--ink:#1b1e24;--quiet:#5b6474;--paper:#fdfdfb;--card:#fff;--line:#e4e6ea;--grid:#edeff2;--thumb:#fff;" +
    "--c0:#2f5fd0;--c1:#b5460f;--c2:#14866d;--c3:#9a4fb0;--right:#14866d;--near:#8f6a00;--wrong:#b8433f;--shadow:0 1px 2px #1b1e2412",
  "--ink:#e6e8ec;--quiet:#98a1b0;--paper:#14161a;--card:#1c1f25;--line:#30343c;--grid:#272b32;--thumb:#f4f4f1;" +
    "--c0:#7ea2ff;--c1:#f0905a;--c2:#4fc3a1;--c3:#cf93e2;--right:#4fc3a1;--near:#e3b93f;--wrong:#ef7d77;--shadow:none",
] as const;

export const sansSerif =
  'ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif';

export const baseStyle = `
${inModes(colours)}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 ${sansSerif};font-variant-numeric:tabular-nums}
p{margin:0 0 12px;max-width:72ch}
a{color:var(--c0);text-underline-offset:2px}
dl,dd,ol,ul,figure{margin:0;padding:0}
table{border-collapse:collapse;font-size:14.5px;min-width:50%}
th{font-size:13px;font-weight:500;color:var(--quiet);text-align:left}
th,td{padding:7px 22px 7px 0;border-bottom:1px solid var(--line)}th:last-child,td:last-child{padding-right:0}
`;
/** Controls, keys and dialogs of pages that a person works with. */
export const controlsStyle = `
[hidden]{display:none!important}
.quiet{color:var(--quiet)}
.skip{position:absolute;left:-999px}.skip:focus{left:12px;top:8px;background:var(--card);padding:6px 10px;z-index:3}
:focus-visible{outline:3px solid var(--c0);outline-offset:2px;border-radius:6px}
main:focus-visible{outline:none}
button,input,select,textarea{font:inherit;color:inherit;background:var(--card);border:1px solid var(--quiet);border-radius:9px;padding:7px 12px;min-height:40px;max-width:100%}
button{cursor:pointer;font-weight:550}
button:hover{border-color:var(--ink)}
button:disabled{opacity:.55;cursor:default}
button[aria-pressed=true],button[aria-expanded=true]{border-color:var(--c0);box-shadow:inset 0 0 0 1px var(--c0)}
.primary{background:var(--ink);color:var(--paper);border-color:var(--ink)}
kbd{font:600 12px/1 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;border:1px solid var(--line);border-bottom-width:2px;border-radius:5px;padding:3px 6px;background:var(--paper);color:var(--ink);white-space:nowrap}
.row{display:flex;flex-wrap:wrap;gap:8px;align-items:center}
dialog{border:1px solid var(--line);border-radius:16px;background:var(--card);color:var(--ink);padding:24px 26px;max-width:min(760px,94vw);max-height:90vh;overflow:auto;box-shadow:0 12px 48px #0005}
dialog::backdrop{background:#0008}
.keys{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,290px),1fr));gap:4px 28px;font-size:14.5px}
.keys div{display:flex;gap:12px;align-items:baseline;padding:3px 0}
.keys dt{flex:none;min-width:96px}
.told{position:fixed;left:50%;bottom:18px;transform:translateX(-50%);margin:0;background:var(--ink);color:var(--paper);border-radius:9px;padding:8px 14px;font-size:14.5px;max-width:min(92vw,560px);opacity:0;transition:opacity .18s;pointer-events:none;z-index:2;overflow-wrap:anywhere}
.told.on{opacity:1}
@media (prefers-reduced-motion:reduce){*{transition:none!important;scroll-behavior:auto!important}}
`;
