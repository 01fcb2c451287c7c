/** The help page of a command, from its record. */

import { type Fields, kebab } from "../settings/fields.js";
import type { Command } from "./command.js";
import type { HelpPage, Row } from "./help.js";

export const helpPage = ({
  name,
  summary,
  description,
  positionals,
  examples,
  options,
  brief,
}: Command): HelpPage => ({
  name,
  summary,
  ...(description === undefined ? {} : { description }),
  positionals,
  examples,
  groups: Object.entries(options).map(([heading, fields]) => ({
    heading,
    options: optionRows(fields).map(({ key, row }) => ({ row, brief: brief?.includes(key) ?? true })),
  })),
});

/** Longer choices are told in the text. */
const MAX_PLACEHOLDER = 48;

function optionRows(fields: Fields): { key: string; row: Row }[] {
  return Object.entries(fields).map(([key, { kind, doc, presence, fallback }]) => {
    const isLong = kind.placeholder.length > MAX_PLACEHOLDER;
    const placeholder = isLong ? "WORD" : kind.placeholder;
    const name = `--${kebab(key)}${placeholder === "" ? "" : ` ${placeholder}`}`;
    const text = isLong ? `${doc} One of ${kind.placeholder.split("|").join(", ")}.` : doc;
    const told = presence === "required" ? "required" : presence === "default" && fallback !== false;
    const note = told === true ? shown(kind.toJson(fallback)) : told;
    return { key, row: [name, note === false ? text : `${text} (${note})`] };
  });
}

function shown(value: unknown): string {
  if (typeof value === "number") return String(Number(value.toPrecision(4)));
  return Array.isArray(value) ? value.join(",") : String(value);
}
