/** The look that every page has in common: colours by what they mean, light and dark, and plain text. */
export const baseStyle = `
:root{--ink:#1b1e24;--quiet:#5b6474;--paper:#fdfdfb;--card:#fff;--line:#e4e6ea;--grid:#edeff2;--thumb:#fff;
--c0:#2f5fd0;--c1:#b5460f;--c2:#14866d;--c3:#9a4fb0;--right:#14866d;--near:#8f6a00;--wrong:#b8433f;--shadow:0 1px 2px #1b1e2412}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ec;--quiet:#98a1b0;--paper:#14161a;--card:#1c1f25;--line:#30343c;--grid:#272b32;--thumb:#f4f4f1;
--c0:#7ea2ff;--c1:#f0905a;--c2:#4fc3a1;--c3:#cf93e2;--right:#4fc3a1;--near:#e3b93f;--wrong:#ef7d77;--shadow:none}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
p{margin:0 0 12px;max-width:72ch}
a{color:var(--c0);text-underline-offset:2px}
dl,dd,ol,ul,figure{margin:0;padding:0}
table{border-collapse:collapse;font-size:14.5px;min-width:50%}
th{font-size:13px;font-weight:500;color:var(--quiet);text-align:left}
th,td{padding:7px 22px 7px 0;border-bottom:1px solid var(--line)}th:last-child,td:last-child{padding-right:0}
`;
