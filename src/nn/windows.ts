/**
 * Square windows over a square grid of tokens, as Swin Transformers have them (Liu et al. 2021, arXiv:2103.14030; timm's
 * swin_transformer.py). A grid's tokens are numbered row by row. Everything here is known before the program runs.
 */

export interface Windows {
  /** Tokens in a window, w². */
  readonly area: number;
  /** Windows G, those that reach beyond the grid included. */
  readonly count: number;
  /** The grid's tokens, window by window, flat [G·w²]; -1 beyond the grid. */
  readonly tokens: readonly number[];
  /** Whether some reach beyond the grid, whose side is then no multiple of theirs. */
  readonly padded: boolean;
  /**
   * With a shift, the region of each window's token, flat [G,w²]: tokens of two regions are only next to each other by
   * the shift, and do not see each other.
   */
  readonly regions?: readonly number[];
}

/**
 * Windows of side `w` over a grid of side `n`, which begin at row and column `shift`; what is before that comes after
 * the end.
 */
export function makeWindows(n: number, w: number, shift: number): Windows {
  const across = Math.ceil(n / w);
  const side = across * w;
  const area = w * w;
  const count = across * across;
  /** Rows and columns, in the shifted grid, of the windows' tokens. */
  const places = Array.from({ length: count * area }, (_, i) => {
    const [window, token] = [Math.floor(i / area), i % area];
    return {
      row: Math.floor(window / across) * w + Math.floor(token / w),
      column: (window % across) * w + (token % w),
    };
  });
  const tokens = places.map(({ row, column }) =>
    row < n && column < n ? ((row + shift) % n) * n + ((column + shift) % n) : -1,
  );
  // Only the last window of a row or column holds what came round; timm draws the line at the padded side.
  const bandOf = (at: number) => (at < side - w ? 0 : at < side - shift ? 1 : 2);
  const regions = places.map(({ row, column }) => 3 * bandOf(row) + bandOf(column));
  return { area, count, tokens, padded: side !== n, ...(shift > 0 ? { regions } : {}) };
}

/**
 * For each pair of tokens of a window of side `w`, flat [w²,w²]: which of the (2n-1)² offsets lies between them that
 * windows of side n = `learned` ≥ w have.
 */
export function relativeOffsets(w: number, learned = w): number[] {
  const places = Array.from({ length: w * w }, (_, i) => ({ row: Math.floor(i / w), column: i % w }));
  return places.flatMap((a) =>
    places.map(
      (b) => (a.row - b.row + learned - 1) * (2 * learned - 1) + (a.column - b.column + learned - 1),
    ),
  );
}

/** The four tokens that become one where a grid of side `n` is halved, [4][⌈n/2⌉²]: left before right, top first; -1 beyond the grid. */
export function quarters(n: number): number[][] {
  const half = Math.ceil(n / 2);
  return [0, 1, 2, 3].map((part) =>
    Array.from({ length: half * half }, (_, i) => {
      const row = 2 * Math.floor(i / half) + (part % 2);
      const column = 2 * (i % half) + Math.floor(part / 2);
      return row < n && column < n ? row * n + column : -1;
    }),
  );
}
