// Which detections of an inspection are framed in its picture, and how.
import type { Box, Inspection } from "../api/types";
import { score } from "./format";

/** Frames look like those of the alert's picture: solid for a defect, dashed for a doubt, thin for what is allowed. */
export type BoxKind = "defect" | "doubtful" | "allowed" | "person";

export interface DrawnBox {
  box: Box;
  kind: BoxKind;
  label: string;
  /** Position among the inspection's detections. */
  detection?: number;
}

const KINDS: Record<string, BoxKind> = { defect: "defect", doubtful: "doubtful" };

/**
 * The frames of an inspection, the most important last, so that they lie on top.
 *
 * Detections that a reason names are drawn as it says. Others are drawn as allowed from the score `least` on.
 */
export function boxesOf(inspection: Pick<Inspection, "reasons" | "detections">, least = 1.1): DrawnBox[] {
  const named = new Map(
    inspection.reasons.flatMap((reason) =>
      typeof reason.detection === "number" ? [[reason.detection, reason] as const] : [],
    ),
  );
  const drawn = inspection.detections.flatMap((detection, index): DrawnBox[] => {
    const reason = named.get(index);
    if (!reason && detection.score < least) return [];
    return [
      {
        box: detection.box,
        kind: (reason && KINDS[reason.code]) ?? "allowed",
        label: `${detection.label} ${score(detection.score, reason?.fail_score)}`,
        detection: index,
      },
    ];
  });
  const order: BoxKind[] = ["allowed", "doubtful", "defect", "person"];
  return drawn.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}
