/** What the review screen derives from an item: boxes to start with, others' boxes, and what is sent. */

import type { ClaimedReview, DecisionBody, ReviewVerdict } from "../../api/paths.review";
import type { Decision, Detection, Inspection, Reason } from "../../api/types";
import { tenth } from "../../canvas/geometry";
import type { Editor, Shape } from "../../canvas/model";
import type { Layer } from "../../canvas/shapes";

const MARKS = { defect: "defect", doubtful: "doubtful", allowed: "allowed" } as const;
const OF_MODEL = "model-";
const OTHERS_TONES = ["tone-other", "tone-region", "tone-doubtful"];

function markOf(reasons: readonly Reason[], index: number): Shape["mark"] {
  const reason = reasons.find((each) => each.detection === index);
  return MARKS[reason?.code as keyof typeof MARKS];
}

/** The detections that count for the verdict, as boxes to accept or to correct. */
export function shapesOf({ detections, reasons }: Pick<Inspection, "detections" | "reasons">): Shape[] {
  return detections.flatMap(({ label, score, box }, index) => {
    const mark = markOf(reasons, index);
    return mark ? [{ id: `${OF_MODEL}${index}`, label, form: { kind: "box", box }, score, mark }] : [];
  });
}

/** The detection that a box was; null if a person has drawn it. */
export const detectionOf = ({ id }: Pick<Shape, "id">): number | null =>
  id.startsWith(OF_MODEL) ? Number(id.slice(OF_MODEL.length)) : null;

/** The detections that do not count: below the review score, too small, or in an ignored zone. */
export function weakerOf({ detections, reasons }: Pick<Inspection, "detections" | "reasons">): Detection[] {
  return detections.filter((_, index) => !markOf(reasons, index));
}

/** The boxes of earlier decisions, a layer for each. */
export function layersOf(decisions: readonly Decision[], title: (decision: Decision) => string): Layer[] {
  return decisions.map((decision, index) => ({
    id: `${decision.by} ${decision.at}`,
    title: title(decision),
    tone: OTHERS_TONES[index % OTHERS_TONES.length] as string,
    shapes: decision.objects.map(({ label, box }) => ({ label, form: { kind: "box", box } })),
  }));
}

/** The verdict that the boxes stand for. */
export function verdictOf({ shapes }: Pick<Editor, "shapes">): ReviewVerdict {
  return shapes.length ? "fail" : "pass";
}

/** What is sent: a good or unusable picture has no boxes. */
export function bodyOf(
  version: number,
  verdict: ReviewVerdict,
  { shapes }: Pick<Editor, "shapes">,
  comment: string,
): DecisionBody {
  const objects = shapes.flatMap(({ label, form }) =>
    form.kind === "box" ? [{ label, box: form.box.map(tenth) as [number, number, number, number] }] : [],
  );
  const text = comment.trim();
  return { version, verdict, objects: verdict === "fail" ? objects : [], ...(text && { comment: text }) };
}

/** The labels to choose from: those of the picture first, so that they have the low numbers, then the usual ones. */
export function labelsFor({ inspection }: Pick<ClaimedReview, "inspection">, known: readonly string[]): string[] {
  const here = shapesOf(inspection).map(({ label }) => label);
  return [...new Set([...known, ...here])];
}

/** Whole minutes and seconds until a moment: "4:59"; null once it is over. */
export function countdown(until: string, now: number): string | null {
  const seconds = Math.floor((Date.parse(until) - now) / 1000);
  if (!(seconds > 0)) return null;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** How many of the decisions a person made since the day began, in the browser's time zone. */
export function decidedToday(items: readonly { decisions: Decision[] }[], name: string, now: Date): number {
  const day = now.toDateString();
  return items.filter(({ decisions }) =>
    decisions.some(({ by, at }) => by === name && new Date(at).toDateString() === day),
  ).length;
}
