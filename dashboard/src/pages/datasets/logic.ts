/** A snapshot in figures. */

import { type LeftOut, PARTS, type Snapshot } from "../../api/paths.learning";

/** With fewer test images than this the figures of a class say little. */
export const FEW = 10;

export interface ClassRow {
  readonly label: string;
  readonly objects: number;
  /** Images by part, in the order of `PARTS`. */
  readonly images: readonly number[];
  readonly total: number;
  readonly few: boolean;
}

/** The classes, those with the most images first. */
export function classRows({ labels, parts }: Pick<Snapshot, "labels" | "parts">): ClassRow[] {
  return Object.entries(labels)
    .map(([label, { objects, images }]) => {
      const counts = PARTS.map((part) => images[part] ?? 0);
      const total = counts.reduce((sum, count) => sum + count, 0);
      return { label, objects, images: counts, total, few: parts.test > 0 && (images.test ?? 0) < FEW };
    })
    .sort((one, other) => other.total - one.total || one.label.localeCompare(other.label));
}

export interface Finding {
  readonly reason: string;
  readonly items: readonly LeftOut[];
}

/** What was left out, by reason, the most frequent first. */
export function findingsOf(leftOut: readonly LeftOut[]): Finding[] {
  const byReason = new Map<string, LeftOut[]>();
  for (const item of leftOut) {
    const reason = String(item.reason ?? "");
    byReason.set(reason, [...(byReason.get(reason) ?? []), item]);
  }
  return [...byReason]
    .map(([reason, items]) => ({ reason, items }))
    .sort((one, other) => other.items.length - one.items.length);
}

/** How many images each snapshot has more than the one before it; null for the oldest that is listed. */
export function growth(snapshots: readonly Pick<Snapshot, "images">[]): (number | null)[] {
  return snapshots.map(({ images }, index) => {
    const before = snapshots[index + 1];
    return before ? images - before.images : null;
  });
}
