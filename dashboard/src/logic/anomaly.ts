// What an anomaly model says about a picture, in words.
import type { Inspection } from "../api/types";
import { texts } from "../texts";
import { score } from "./format";

type Judged = Pick<Inspection, "anomaly">;

/**
 * How unusual the picture is as a whole: "Anomaly 0.97". Another product, and no product at all, has no score; the reason
 * is among those of the verdict. Null without an anomaly model.
 */
export function anomalyText({ anomaly }: Judged): string | null {
  if (!anomaly) return null;
  return anomaly.score === null ? texts.anomaly.notJudged : texts.anomaly.score(score(anomaly.score));
}

/** The link of the heat map; null if there is none. Another product is hot everywhere, which would only hide it. */
export const heatMapOf = ({ anomaly }: Judged): string | null =>
  anomaly && anomaly.score !== null ? anomaly.heat_map : null;

/** The anomaly model, if it has judged beside another one. */
export function secondModel({ anomaly, model }: Pick<Inspection, "anomaly" | "model">) {
  if (!anomaly || (model && model.name === anomaly.model.name && model.version === anomaly.model.version)) return null;
  return anomaly.model;
}

/** Which model found a detection; null if only one has judged. */
export const finderOf = ({ detections }: Pick<Inspection, "detections">, index?: number | null): string | null =>
  (typeof index === "number" && detections[index]?.model) || null;
