/**
 * Runs a command line and gives its exit code: 0 it worked; 2 the command line, or a setting or recipe that it gives, cannot
 * be; 1 anything else that the caller can mend, in one line, too; 70 a fault of Clipwright, with its stack and a request to
 * report it.
 */

import {
  didYouMean,
  InternalError,
  invariant,
  oneLine,
  printable,
  Unsupported,
  UsageError,
} from "../core/errors.js";
import { version } from "../core/version.js";
import { type CommandEntry, optionsOf, type Terminal } from "./command.js";
import { commandHelp, type HelpPage, overview } from "./help.js";
import { helpPages } from "./kept-help.js";

export const EXIT = { ok: 0, failed: 1, badUsage: 2, internal: 70 } as const;

/**
 * Runs `words`, e.g. `["train", "emoji", "--lr", "1e-3"]`. Never throws.
 * @param help pages of the commands; default: made from the commands, which loads them.
 */
export async function runCommandLine(
  commands: readonly CommandEntry[],
  words: readonly string[],
  terminal: Terminal,
  help: () => Promise<readonly HelpPage[]> = () => helpPages(commands),
): Promise<number> {
  try {
    return await runWords(commands, words, terminal, help);
  } catch (error) {
    return report(error, terminal);
  }
}

const HELP = ["--help", "-h"];

async function runWords(
  commands: readonly CommandEntry[],
  words: readonly string[],
  terminal: Terminal,
  help: () => Promise<readonly HelpPage[]>,
): Promise<number> {
  const [first, ...rest] = words;
  const bad = (problem: string): number => {
    terminal.err(`clipwright: ${oneLine(problem)}\n`);
    return EXIT.badUsage;
  };
  if (first === undefined) {
    terminal.err(overview(await help(), terminal), true);
    return EXIT.badUsage;
  }
  if (first === "--version" || first === "-v") {
    terminal.out(`${versionText()}\n`);
    return EXIT.ok;
  }
  if (first === "help" || HELP.includes(first)) {
    if (rest.length > 0) return runWords(commands, [...rest, "--help"], terminal, help);
    terminal.out(overview(await help(), terminal), true);
    return EXIT.ok;
  }
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length > 0 && (rest[0] === undefined || HELP.includes(rest[0]))) {
    const pages = (await help()).filter(({ name }) => name.startsWith(`${first} `));
    const text = overview(pages, terminal, first);
    if (rest[0] === undefined) terminal.err(text, true);
    else terminal.out(text, true);
    return rest[0] === undefined ? EXIT.badUsage : EXIT.ok;
  }
  const named = group.length > 0 ? `${first} ${rest[0]}` : first;
  const entry = commands.find(({ name }) => name === named);
  if (entry === undefined) {
    const names = (group.length > 0 ? group : commands).map(({ name }) => name);
    if (first.startsWith("-")) return bad(`${first}: a command comes first; there are ${names.join(", ")}.`);
    return bad(`${named}: no such command; there are ${names.join(", ")}.${didYouMean(named, names)}`);
  }
  const own = group.length > 0 ? rest.slice(1) : rest;
  if (own.some((word) => HELP.includes(word))) {
    const page = (await help()).find(({ name }) => name === named);
    invariant(page !== undefined, `help: no page of ${named}`);
    terminal.out(commandHelp(page, terminal, own.includes("--all")), true);
    return EXIT.ok;
  }
  const command = await entry.load();
  // What checks options is loaded after the help, which need not wait for it.
  const [{ parseWords }, { checkAll, inOptionSpelling, kebab, withKey }] = await Promise.all([
    import("./arguments.js"),
    import("../settings/fields.js"),
  ]);
  const parsed = parseWords(command, own);
  if (!parsed.ok) return bad(parsed.problem);
  const { given, positionals } = parsed;
  const fields = optionsOf(command);
  const options = command.checksOptions ? {} : checkAll(fields, given, (key) => `--${kebab(key)}`);
  try {
    return (await command.run({ options, given, positionals, terminal })) ?? EXIT.ok;
  } catch (error) {
    throw inOptionSpelling(given, withKey(fields, error));
  }
}

/** Tells a failure, and gives the exit code for it. */
export function report(error: unknown, terminal: Terminal): number {
  if (error instanceof UsageError || error instanceof Unsupported) {
    // What a foreign parser or a user's recipe said may run over several lines.
    const message = oneLine(error.message.trim().replace(/\s*\n\s*/g, " "));
    terminal.err(`clipwright: ${message}\n`);
    return error.code === "ERR_SETTING" ? EXIT.badUsage : EXIT.failed;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const kind = error instanceof InternalError ? "" : "unexpected ";
  terminal.err(
    `clipwright: ${kind}internal error. This is a fault of Clipwright; please report it with the lines below.\n${versionText()}\n${stack}\n`,
  );
  return EXIT.internal;
}

/** `clipwright 0.1.0 (node 20.20.2, linux x64)`. */
export function versionText(): string {
  return `clipwright ${version()} (node ${process.versions.node}, ${process.platform} ${process.arch})`;
}

/** The terminal of a process. */
export function terminalOf({
  stdout,
  stderr,
  env,
}: Pick<NodeJS.Process, "stdout" | "stderr" | "env">): Terminal {
  const interactive = stderr.isTTY === true && env.TERM !== "dumb";
  return {
    // A pipe or a file gets what there is, byte for byte.
    out: (text, own = false) => void stdout.write(own || stdout.isTTY !== true ? text : printable(text)),
    err: (text, own = false) => void stderr.write(own || stderr.isTTY !== true ? text : printable(text)),
    interactive,
    get columns() {
      return (stderr.isTTY ? stderr.columns : stdout.columns) || 80;
    },
    // https://no-color.org: set and not empty.
    color: stdout.isTTY === true && interactive && !env.NO_COLOR,
  };
}
