// What follows from counts of inspections.
import type { Counts } from "../api/types";

export const noCounts = (): Counts => ({ inspected: 0, pass: 0, fail: 0, review: 0, unreadable: 0, defects: {} });

/** The share of the judged products that passed; `null` if none was judged. */
export const yieldOf = ({ pass, fail }: Pick<Counts, "pass" | "fail">): number | null =>
  pass + fail > 0 ? pass / (pass + fail) : null;

/** The sum of several counts, as of a line's stations. */
export function sumOf(counts: Counts[]): Counts {
  const sum = noCounts();
  for (const one of counts) {
    for (const name of ["inspected", "pass", "fail", "review", "unreadable"] as const) sum[name] += one[name];
    for (const [label, n] of Object.entries(one.defects)) sum.defects[label] = (sum.defects[label] ?? 0) + n;
  }
  return sum;
}
