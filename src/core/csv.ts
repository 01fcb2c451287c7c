/** Lines of CSV as RFC 4180 has them. */

/** A cell: nothing is an empty one. */
export type CsvValue = string | number | bigint | boolean | null | undefined;

/** The cells joined by commas, in quotes where they must be, with the line's end. */
export const csvLine = (cells: readonly CsvValue[]): string => `${cells.map(csvCell).join(",")}\r\n`;

function csvCell(value: CsvValue): string {
  const text = value === undefined || value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
