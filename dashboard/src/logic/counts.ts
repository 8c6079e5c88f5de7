// What follows from counts of inspections.
import type { Counts } from "../api/types";

export const noCounts = (): Counts => ({ inspected: 0, pass: 0, fail: 0, review: 0, unreadable: 0, defects: {} });

/** The share of the inspected products that passed at once; `null` if none was inspected. */
export const yieldOf = (counts: Pick<Counts, "pass" | "inspected">): number | null =>
  share(counts.pass, counts.inspected);

export const share = (part: number, whole: number): number | null => (whole > 0 ? part / whole : null);

/** The sum of several counts, as of a line's stations. */
export function sumOf(counts: Counts[]): Counts {
  const sum = noCounts();
  for (const one of counts) {
    for (const name of ["inspected", "pass", "fail", "review", "unreadable"] as const) sum[name] += one[name];
    for (const [label, n] of Object.entries(one.defects)) sum.defects[label] = (sum.defects[label] ?? 0) + n;
  }
  return sum;
}
