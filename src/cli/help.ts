/** Help texts from help pages, as wide as the terminal. */

import type { Command, Positional, Terminal } from "./command.js";

type Style = Pick<Terminal, "color" | "columns">;
export type Row = readonly [left: string, right: string];

/** All that the help of a command tells, as plain data. */
export interface HelpPage extends Pick<Command, "name" | "summary" | "description" | "examples"> {
  readonly positionals: readonly Positional[];
  /** Options under their headings: of each the row, and whether the short help has it. */
  readonly groups: readonly {
    readonly heading: string;
    readonly options: readonly { readonly row: Row; readonly brief: boolean }[];
  }[];
}

const MAX_COLUMNS = 100;
const MIN_DOC_COLUMNS = 28;

/** `clipwright --help`, or of the commands that begin with the word `of`. */
export function overview(
  commands: readonly Pick<HelpPage, "name" | "summary">[],
  style: Style,
  of?: string,
): string {
  const rows = commands.map(({ name, summary }): Row => [name, summary]);
  return [
    ...(of === undefined ? ["Trains the best small CLIP that a budget allows.", ""] : []),
    `${heading("Usage", style)}  clipwright ${of === undefined ? "" : `${of} `}COMMAND [--option value]`,
    "",
    heading("Commands", style),
    table(rows, style),
    "",
    heading("Options", style),
    table(
      [
        ["--help", `This text, or a command's: clipwright ${commands[0]?.name} --help.`],
        ["--version", "Version of Clipwright, Node and the platform."],
      ],
      style,
    ),
    "",
  ].join("\n");
}

/** `clipwright COMMAND --help`; with `all` every option, else those that most people need. */
export function commandHelp(page: HelpPage, style: Style, all: boolean): string {
  const { name, summary, description, positionals, examples } = page;
  const usage = ["clipwright", name, ...positionals.map(usageOf)];
  if (page.groups.length > 0) usage.push("[--option value]");
  const parts = [...wrap(summary, width(style)), "", `${heading("Usage", style)}  ${usage.join(" ")}`, ""];
  if (description) parts.push(...wrap(description, width(style)), "");
  if (positionals.length > 0) {
    const rows = positionals.map(({ name, doc }): Row => [name, doc]);
    parts.push(table(rows, style), "");
  }
  const hidden = all ? 0 : page.groups.flatMap(({ options }) => options).filter(({ brief }) => !brief).length;
  if (hidden === 0) {
    for (const group of page.groups) {
      const rows = group.options.map(({ row }) => row);
      parts.push(heading(group.heading, style), table(rows, style), "");
    }
  } else {
    const rows = page.groups
      .flatMap(({ options }) => options.filter(({ brief }) => brief))
      .map(({ row }) => row);
    parts.push(heading("Options", style), table(rows, style), "");
    parts.push(`${hidden} more options: clipwright ${name} --help --all`, "");
  }
  if (examples.length > 0) {
    parts.push(heading("Examples", style));
    for (const [line, what] of examples) parts.push(`  ${line}`, `      ${what}`);
    parts.push("");
  }
  return parts.join("\n");
}

const usageOf = ({ name, required, many }: Positional): string => {
  const shown = many ? `${name}…` : name;
  return required ? shown : `[${shown}]`;
};

const heading = (text: string, { color }: Style): string => (color ? `\x1b[1m${text}\x1b[0m` : text);
const width = ({ columns }: Style): number => Math.min(MAX_COLUMNS, Math.max(40, columns));

/** Two columns; a long name stands on a line of its own. */
function table(rows: readonly Row[], style: Style): string {
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

/** A text as lines of at most `columns`, broken between words. */
export function wrap(text: string, columns: number): string[] {
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

/** Lines as wide as the terminal, `- ` items hanging; what is indented, such as commands, stays as it is. */
export const wrapLines = (lines: readonly string[], style: Style): string[] =>
  lines.flatMap((line) => {
    if (line === "" || line.startsWith(" ")) return [line];
    const hang = line.startsWith("- ") ? "  " : "";
    return wrap(line, width(style) - hang.length).map((part, at) => (at === 0 ? part : hang + part));
  });
