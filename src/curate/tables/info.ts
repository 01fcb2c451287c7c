/** What a new table says of itself. */
import { version } from "../../core/version.js";
import { type Dataset, fingerprintOf } from "../../data/index.js";
import type { TableColumn, TableInfo, TableKind, TableSource } from "../../data/selections/form.js";

/** The sources that rows of a table can name. */
export const tableSources = ({ sources, description }: Dataset): TableSource[] =>
  sources.map(({ name, length }, s) => ({
    name,
    source: description[s]?.source ?? name,
    samples: length,
  }));

/**
 * What stands in the metadata of a table about `dataset`.
 * @param columns all of them, identity first.
 * @param command the command line that makes it.
 */
export function describeTable(
  kind: TableKind,
  columns: readonly TableColumn[],
  { dataset, command }: { readonly dataset: Dataset; readonly command?: string | undefined },
): TableInfo {
  return {
    format: 1,
    kind,
    sources: tableSources(dataset),
    data: fingerprintOf(dataset),
    clipwright: version(),
    command,
    made: new Date().toISOString(),
    columns,
  };
}
