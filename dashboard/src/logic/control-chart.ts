// The control chart of the defect rate: what of each hour or day is more than chance.
// https://www.itl.nist.gov/div898/handbook/pmc/section3/pmc332.htm
import type { Statistics } from "../api/types";
import { share } from "./counts";

export interface ControlPoint {
  start: string;
  inspected: number;
  fail: number;
  /** `null` where nothing was inspected. */
  rate: number | null;
  lower: number | null;
  upper: number | null;
  /** The rate lies outside its limits. */
  outside: "above" | "below" | null;
}

export function controlPoints({ buckets, control }: Pick<Statistics, "buckets" | "control">): ControlPoint[] {
  return buckets.map(({ start, inspected, fail }, index) => {
    const rate = share(fail, inspected);
    const lower = control.lower[index] ?? null;
    const upper = control.upper[index] ?? null;
    return { start, inspected, fail, rate, lower, upper, outside: outsideOf(rate, lower, upper) };
  });
}

function outsideOf(rate: number | null, lower: number | null, upper: number | null): ControlPoint["outside"] {
  if (rate === null) return null;
  if (upper !== null && rate > upper) return "above";
  return lower !== null && rate < lower ? "below" : null;
}
