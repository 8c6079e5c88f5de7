// Which few defects make up most of what fails.

export interface ParetoRow {
  /** `null` stands for all rarer defects together. */
  label: string | null;
  count: number;
  share: number;
  /** Share of this and all rows before. */
  cumulative: number;
}

/** The defects, most frequent first; all beyond the first `rows - 1` are one row, unless they fit. */
export function pareto(counts: Record<string, number>, rows = 10): ParetoRow[] {
  const sorted = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  const shown: [string | null, number][] = sorted.length > rows ? sorted.slice(0, rows - 1) : sorted;
  if (sorted.length > rows) shown.push([null, sorted.slice(rows - 1).reduce((sum, [, count]) => sum + count, 0)]);
  let before = 0;
  return shown.map(([label, count]) => {
    before += count;
    return { label, count, share: count / total, cumulative: before / total };
  });
}
