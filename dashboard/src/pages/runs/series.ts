/** Curves of several jobs on one axis. */

import type { RunJob } from "../../api/paths.learning";

/** What is worth looking at first. */
const ORDER = ["val:map", "loss", "val:map50", "learning_rate"];

/** The metrics that any job has, the most telling first. */
export function metricsOf(jobs: readonly Pick<RunJob, "curves">[]): string[] {
  const found = new Set(jobs.flatMap(({ curves }) => Object.keys(curves).filter((name) => curves[name]?.length)));
  const place = (name: string) => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);
  return [...found].sort((one, other) => place(one) - place(other) || one.localeCompare(other));
}

/** All epochs, and for each curve its value there, or null. */
export function aligned(
  curves: readonly (readonly (readonly [number, number])[])[],
): [number[], ...(number | null)[][]] {
  const epochs = [...new Set(curves.flatMap((curve) => curve.map(([epoch]) => epoch)))].sort((a, b) => a - b);
  const values = curves.map((curve) => {
    const known = new Map(curve);
    return epochs.map((epoch) => known.get(epoch) ?? null);
  });
  return [epochs, ...values];
}
