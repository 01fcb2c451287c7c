/** Help texts, generated from the commands' records. */

import { type Fields, kebab } from "../settings/fields.js";
import type { Command, Positional, Terminal } from "./command.js";

type Style = Pick<Terminal, "color" | "columns">;

const MAX_COLUMNS = 100;
const MIN_DOC_COLUMNS = 28;

/** `clipwright --help`. */
export function overview(commands: readonly Command[], style: Style): string {
  const rows = commands.map(({ name, summary }): [string, string] => [name, summary]);
  return [
    "Trains the best small CLIP that a budget allows.",
    "",
    `${heading("Usage", style)}  clipwright COMMAND [--option value]`,
    "",
    heading("Commands", style),
    table(rows, style),
    "",
    heading("Options", style),
    table(
      [
        ["--help", "This text, or a command's: clipwright train --help."],
        ["--version", "Version of Clipwright, Node and the platform."],
      ],
      style,
    ),
    "",
  ].join("\n");
}

/** `clipwright COMMAND --help`. */
export function commandHelp(command: Command, style: Style): string {
  const usage = ["clipwright", command.name, ...command.positionals.map(usageOf)];
  if (Object.keys(command.options).length > 0) usage.push("[--option value]");
  const parts = [
    ...wrap(command.summary, width(style)),
    "",
    `${heading("Usage", style)}  ${usage.join(" ")}`,
    "",
  ];
  if (command.description) parts.push(...wrap(command.description, width(style)), "");
  if (command.positionals.length > 0) {
    parts.push(
      table(
        command.positionals.map(({ name, doc }) => [name, doc]),
        style,
      ),
      "",
    );
  }
  for (const [group, fields] of Object.entries(command.options)) {
    parts.push(heading(group, style), table(optionRows(fields), style), "");
  }
  if (command.examples.length > 0) {
    parts.push(heading("Examples", style));
    for (const [line, what] of command.examples) parts.push(`  ${line}`, `      ${what}`);
    parts.push("");
  }
  return parts.join("\n");
}

const usageOf = ({ name, required, many }: Positional): string => {
  const shown = many ? `${name}…` : name;
  return required ? shown : `[${shown}]`;
};

function optionRows(fields: Fields): [string, string][] {
  return Object.entries(fields).map(([key, { kind, doc, presence, fallback }]) => {
    const name = `--${kebab(key)}${kind.placeholder === "" ? "" : ` ${kind.placeholder}`}`;
    if (presence !== "default" || fallback === false) {
      return [name, presence === "required" ? `${doc} (required)` : doc];
    }
    return [name, `${doc} (${shown(kind.toJson(fallback))})`];
  });
}

function shown(value: unknown): string {
  if (typeof value === "number") return String(Number(value.toPrecision(4)));
  return Array.isArray(value) ? value.join(",") : String(value);
}

const heading = (text: string, { color }: Style): string => (color ? `\x1b[1m${text}\x1b[0m` : text);
const width = ({ columns }: Style): number => Math.min(MAX_COLUMNS, Math.max(40, columns));

/** Two columns; a long name stands on a line of its own. */
function table(rows: readonly (readonly [string, string])[], style: Style): string {
  const longest = Math.max(...rows.map(([name]) => name.length));
  const left = Math.min(longest, 30, width(style) - MIN_DOC_COLUMNS - 4) + 4;
  const lines = rows.flatMap(([name, doc]) => {
    const [first = "", ...rest] = wrap(doc, width(style) - left);
    const indented = rest.map((line) => " ".repeat(left) + line);
    const head = `  ${name}`;
    if (head.length + 2 > left) return [head, " ".repeat(left) + first, ...indented];
    return [head.padEnd(left) + first, ...indented];
  });
  return lines.join("\n");
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}
