/** The review's page before its script fills it. It holds no word of the data but the title. */

import { escaped } from "../../../core/web/scripts.js";

/** A tick, as the page's icon. */
export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#14866d"/><path d="M4 8.4l2.8 2.8L12.2 5" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`;

/** Keys of the single view, as the help lists them. */
const keys: readonly (readonly [string, string])[] = [
  ["K", "keep the pair as it is"],
  ["D", "drop it"],
  ["E", "correct the caption; Ctrl + Enter saves, Esc leaves"],
  ["1 … 9", "keep it with that class"],
  ["C", "another class"],
  ["U or Ctrl + Z", "take the last verdict back"],
  ["← →", "the pair before, the next without a verdict"],
  ["S", "show or hide scores, and what the selection says"],
  ["F", "filter"],
  ["G", "copies side by side, and back"],
  ["A", "agreement, reviewers and conflicts"],
  ["?", "this help"],
];

const copyKeys: readonly (readonly [string, string])[] = [
  ["← → ↑ ↓", "from picture to picture"],
  ["S", "the same as the first of its group"],
  ["D", "different from it"],
  ["U or Ctrl + Z", "take the last verdict back"],
];

const list = (rows: readonly (readonly [string, string])[]): string =>
  rows.map(([key, what]) => `<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`).join("");

export const pageDocument = (title: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Review of ${escaped(title)}</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
<script type="module" src="/script/curate/review/page/main.js"></script>
</head>
<body>
<a class="skip" href="#main">To the pair</a>
<header>
<div class="head">
<h1>${escaped(title)}</h1>
<nav aria-label="Views">
<button type="button" id="show-filter" aria-expanded="false" aria-controls="filter" aria-keyshortcuts="F">Filter</button>
<button type="button" id="show-copies" aria-pressed="false" aria-keyshortcuts="G" hidden>Copies</button>
<button type="button" id="show-agreement" aria-keyshortcuts="A">Agreement</button>
<button type="button" id="show-help" aria-keyshortcuts="?" aria-label="Help">?</button>
</nav>
</div>
<div class="progress">
<progress id="bar" max="1" value="0" aria-label="Pairs decided"></progress>
<p id="progress" role="status"></p>
</div>
<form id="filter" hidden>
<label>Show <select name="status"><option value="next">what comes next</option><option value="undecided">what I have not judged</option><option value="conflicts">conflicts</option><option value="mine">what I have judged</option><option value="all">everything</option></select></label>
<label>Text <input name="text" type="search" autocomplete="off"></label>
<label id="reason-field">Reason <select name="reason"><option value="">any</option></select></label>
<fieldset id="score-field"><legend>Score</legend><select name="score" aria-label="Which score"></select><input name="low" type="number" step="any" aria-label="From"><span>to</span><input name="high" type="number" step="any" aria-label="To"></fieldset>
<button type="submit">Apply</button><button type="reset">Clear</button>
<p id="found" role="status"></p>
</form>
</header>
<main id="main" tabindex="-1">
<section id="single" aria-label="Pair" hidden>
<figure><img id="picture" alt=""><p id="broken" hidden></p></figure>
<div class="side">
<p id="where" class="quiet"></p>
<p id="caption" class="caption" lang=""></p>
<form id="edit" hidden><label for="correction">Correct caption</label><textarea id="correction" rows="3" maxlength="10000"></textarea><div class="row"><button type="submit" class="primary">Keep with this caption</button><button type="button" id="cancel">Cancel</button></div></form>
<ul id="others" class="quiet" aria-label="Other captions of the picture"></ul>
<div id="class-part"><p class="quiet">Class: <b id="label"></b></p><div id="classes" class="row" role="group" aria-label="Classes"></div><form id="class-form" class="row"><label for="class">Other class</label><input id="class" list="class-list" autocomplete="off"><datalist id="class-list"></datalist><button type="submit">Keep so</button></form></div>
<div id="said" class="said" hidden></div>
<p id="trouble" role="alert"></p>
<div class="row verdicts" role="group" aria-label="Verdict">
<button type="button" id="keep" class="keep" aria-keyshortcuts="K"><kbd>K</kbd> Keep</button>
<button type="button" id="drop" class="drop" aria-keyshortcuts="D"><kbd>D</kbd> Drop</button>
<button type="button" id="correct" aria-keyshortcuts="E"><kbd>E</kbd> Correct</button>
<button type="button" id="undo" aria-keyshortcuts="U Control+Z"><kbd>U</kbd> Undo</button>
</div>
<div class="row steps"><button type="button" id="back" aria-keyshortcuts="ArrowLeft" aria-label="Pair before">←</button><button type="button" id="forward" aria-keyshortcuts="ArrowRight" aria-label="Next pair, without a verdict">→</button><label class="switch"><input type="checkbox" id="scores-shown" aria-keyshortcuts="S"> Show scores</label></div>
<dl id="scores" class="scores" hidden></dl>
</div>
</section>
<section id="copies" aria-label="Copies" hidden><p class="quiet">Is each picture the same as the first of its group? <kbd>S</kbd> same, <kbd>D</kbd> different; arrows move.</p><div id="groups"></div><p id="copies-trouble" role="alert"></p><button type="button" id="more">More groups</button></section>
<section id="nothing" hidden><h2 id="nothing-title">Nothing left</h2><p id="nothing-text"></p><button type="button" id="again">Look again</button></section>
</main>
<p id="told" class="told" role="status"></p>
<dialog id="who" aria-labelledby="who-title"><form id="who-form" method="dialog"><h2 id="who-title">Who reviews?</h2><p>Verdicts are kept under this name. Come back with the same one.</p><label for="name">Your name</label><input id="name" required maxlength="80" autocomplete="nickname"><button type="submit" class="primary">Begin</button></form></dialog>
<dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2><dl class="keys">${list(keys)}</dl><h3>Among copies</h3><dl class="keys">${list(copyKeys)}</dl><p class="quiet">Scores are hidden at first, since whoever sees them judges by them. Some pairs come twice, and some are known: that is how the review measures itself.</p><form method="dialog"><button class="primary">Close</button></form></dialog>
<dialog id="agreement" aria-labelledby="agreement-title"><h2 id="agreement-title">Agreement</h2><div id="agreement-text"></div><div class="wide" tabindex="0" role="region" aria-label="Reviewers"><table id="reviewers"></table></div><div id="conflicts"></div><form method="dialog"><button class="primary">Close</button></form></dialog>
<noscript><p>The review needs its script, which this server sends.</p></noscript>
</body>
</html>
`;
