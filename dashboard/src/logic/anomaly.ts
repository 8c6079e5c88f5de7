// What an anomaly model says about a picture, in words.
import type { Inspection } from "../api/types";
import { texts } from "../texts";
import { score } from "./format";

// How the endpoint's warning begins (training/model/anomaly_scale.py).
const FOREIGN = "another product";

/**
 * How unusual the picture is as a whole: "Anomaly 0.97". Of a picture of another product the score says nothing, so it
 * is not shown. Null without an anomaly model.
 */
export function anomalyText({ anomaly, doubts }: Pick<Inspection, "anomaly" | "doubts">): string | null {
  if (!anomaly) return null;
  if (doubts?.some((doubt) => doubt.startsWith(FOREIGN))) return texts.anomaly.foreign;
  return texts.anomaly.score(score(anomaly.score));
}

/** The anomaly model, if it has judged beside another one. */
export function secondModel({ anomaly, model }: Pick<Inspection, "anomaly" | "model">) {
  if (!anomaly || (model && model.name === anomaly.model.name && model.version === anomaly.model.version)) return null;
  return anomaly.model;
}

/** Which model found a detection; null if only one has judged. */
export const finderOf = ({ detections }: Pick<Inspection, "detections">, index?: number | null): string | null =>
  (typeof index === "number" && detections[index]?.model) || null;
