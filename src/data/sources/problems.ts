/** What is damaged or cannot be read in a source: counted by kind, the first ones named. */
const NAMED = 3;

export class Problems {
  private readonly found = new Map<string, { count: number; named: string[] }>();

  /** `what` in the plural, e.g. `texts that cannot be read`; `where` names one of them. */
  add(what: string, where: string): void {
    const known = this.found.get(what) ?? { count: 0, named: [] };
    known.count++;
    if (known.named.length < NAMED) known.named.push(where.length > 200 ? `${where.slice(0, 200)}…` : where);
    this.found.set(what, known);
  }

  /** One line a kind: `texts that cannot be read: 4 (a.txt, b.txt, c.txt, …)`. */
  get lines(): string[] {
    return [...this.found].map(
      ([what, { count, named }]) =>
        `${what}: ${count} (${named.join(", ")}${count > named.length ? ", …" : ""})`,
    );
  }
}
