/** The page before its script fills it. It holds no word of the data but the title. */

import { escaped } from "../../core/web/scripts.js";

/** A looking glass over a picture, as the page's icon. */
export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#2f5fd0"/><circle cx="7" cy="7" r="3.2" fill="none" stroke="#fff" stroke-width="1.8"/><path d="M9.5 9.5l3 3" stroke="#fff" stroke-width="1.8" stroke-linecap="round"/></svg>`;

/** Keys, as the help lists them. */
const keys: readonly (readonly [string, string])[] = [
  ["/", "search by words"],
  ["← → ↑ ↓", "from picture to picture"],
  ["Enter", "open the picture"],
  ["S", "what looks like the open picture"],
  ["Esc", "close it; once more: all pictures again"],
  ["M", "map, and back"],
  ["C", "classes of your own"],
  ["+ − 0", "on the map: nearer, farther, all of it; arrows move"],
  ["?", "this help"],
];

const list = keys.map(([key, what]) => `<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`).join("");

/** What a server says in its headers, for a page of files: nothing comes from elsewhere, and WebAssembly may run. */
const STATIC_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; worker-src 'self' blob:; form-action 'none'; base-uri 'none'";

/**
 * @param script the address of the page's main module, and of its style and icon beside it: a site of files has others.
 */
export const pageDocument = (
  title: string,
  {
    script = "/script/serve/page/main.js",
    style = "/style.css",
    icon: picture = "/icon.svg",
    isStatic = false,
  } = {},
): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${isStatic ? `<meta http-equiv="Content-Security-Policy" content="${STATIC_POLICY}">\n` : ""}<title>${escaped(title)}</title>
<link rel="icon" href="${picture}" type="image/svg+xml">
<link rel="stylesheet" href="${style}">
<script type="module" src="${script}"></script>
</head>
<body>
<a class="skip" href="#pictures">To the pictures</a>
<header>
<div class="head">
<div class="name"><h1>${escaped(title)}</h1><p id="model" class="quiet"></p></div>
<nav aria-label="Views">
<button type="button" id="show-grid" aria-pressed="true">Pictures</button>
<button type="button" id="show-map" aria-pressed="false" aria-keyshortcuts="M">Map</button>
<button type="button" id="show-help" aria-keyshortcuts="?" aria-label="Help">?</button>
</nav>
</div>
<form id="search" role="search">
<input id="words" type="search" aria-label="Search by words" aria-keyshortcuts="/" placeholder="Describe a picture, or drop one here" autocomplete="off" maxlength="1000" enterkeyhint="search">
<button type="submit" class="primary">Search</button>
<button type="button" id="choose">Picture …</button>
<input id="file" type="file" accept="image/*" hidden>
</form>
<div class="filters">
<label id="label-field">Label <select id="label"><option value="">any</option></select></label>
<label>Caption holds <input id="holds" type="search" autocomplete="off" maxlength="200"></label>
<details id="class-part"><summary aria-keyshortcuts="C">Classes of your own</summary>
<form id="class-form">
<label for="classes">Names, separated by commas</label><textarea id="classes" rows="2" placeholder="cat, dog, a drawing of a house"></textarea>
<label for="template">In a sentence, {c} for the name</label><input id="template" value="{c}" autocomplete="off" maxlength="200">
</form></details>
</div>
</header>
<section id="training" aria-label="Training" hidden></section>
<main>
<div id="class-shares" class="shares" hidden></div>
<section id="about-query" class="asked" hidden></section>
<p id="told-count" class="quiet count" role="status"></p>
<p id="trouble" role="alert"></p>
<div class="views">
<section id="grid-view" aria-label="Pictures"><ul id="pictures" class="grid" tabindex="-1"></ul><button type="button" id="more" hidden>More</button></section>
<section id="map-view" aria-label="Map" hidden><ul id="legend" class="legend" aria-label="Labels by colour"></ul><div class="map"><canvas id="map" tabindex="0" role="application" aria-label="Map of the pictures: near each other where they are alike. Plus and minus zoom, arrows move, Enter opens the picture in the middle."></canvas><div class="zoom" role="group" aria-label="Zoom"><button type="button" id="nearer" aria-label="Nearer">+</button><button type="button" id="farther" aria-label="Farther">−</button><button type="button" id="whole">All</button></div><p id="map-state" class="quiet" role="status"></p></div></section>
<aside id="detail" aria-label="Picture" hidden></aside>
</div>
</main>
<div id="drop" class="drop" hidden><p>Drop the picture to find what looks like it</p></div>
<p id="told" class="told" role="status"></p>
<dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2><dl class="keys">${list}</dl><p class="quiet">Scores are cosines between the model's vectors. Probabilities are those of your classes among each other: a picture of none of them is given to one all the same. <span id="calibrated"></span></p><form method="dialog"><button class="primary">Close</button></form></dialog>
<noscript><p>The page needs its script, which this server sends.</p></noscript>
</body>
</html>
`;
