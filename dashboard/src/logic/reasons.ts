/** The reasons for a verdict, short enough to read. */

import type { Reason } from "../api/types";
import { texts } from "../texts";
import { score } from "./format";

export interface Folded {
  readonly reason: Reason;
  readonly count: number;
  /** The highest and the lowest score; null for reasons that have none. */
  readonly scores: readonly [number, number] | null;
}

/** The reasons, with those of one kind and class as one: a picture may have a dozen doubtful scratches. */
export function folded(reasons: readonly Reason[]): Folded[] {
  const groups = new Map<string, Reason[]>();
  for (const reason of reasons) {
    const key = reason.label ? `${reason.code} ${reason.label}` : reason.message;
    groups.set(key, [...(groups.get(key) ?? []), reason]);
  }
  return [...groups.values()].map((group) => {
    const scores = group.flatMap(({ score }) => score ?? []);
    return {
      reason: group[0] as Reason,
      count: group.length,
      scores: scores.length ? [Math.max(...scores), Math.min(...scores)] : null,
    };
  });
}

/** What was found, in one line for the operator: each class once, with how often and how sure. */
export function inShort(reasons: readonly Reason[]): string {
  return folded(reasons)
    .map(({ reason, count, scores }) => {
      if (!reason.label || !scores) return reason.message;
      const surest = score(scores[0], reason.fail_score);
      return count > 1 ? texts.line.several(reason.label, count, surest) : `${reason.label} ${surest}`;
    })
    .join(" · ");
}
