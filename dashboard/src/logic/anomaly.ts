// What an anomaly model says about a picture, in words.
import type { Inspection } from "../api/types";
import { texts } from "../texts";
import { score } from "./format";

// How the endpoint's warning begins (training/model/anomaly_scale.py).
const FOREIGN = "another product";

type Judged = Pick<Inspection, "anomaly" | "doubts">;

const isForeign = ({ doubts }: Judged): boolean => doubts?.some((doubt) => doubt.startsWith(FOREIGN)) ?? false;

/**
 * How unusual the picture is as a whole: "Anomaly 0.97". Of a picture of another product the score says nothing, so it
 * is not shown. Null without an anomaly model.
 */
export function anomalyText(inspection: Judged): string | null {
  if (!inspection.anomaly) return null;
  return isForeign(inspection) ? texts.anomaly.foreign : texts.anomaly.score(score(inspection.anomaly.score));
}

/** The link of the heat map; null if there is none. Another product is hot everywhere, which would only hide it. */
export const heatMapOf = (inspection: Judged): string | null =>
  isForeign(inspection) ? null : (inspection.anomaly?.heat_map ?? null);

/** The anomaly model, if it has judged beside another one. */
export function secondModel({ anomaly, model }: Pick<Inspection, "anomaly" | "model">) {
  if (!anomaly || (model && model.name === anomaly.model.name && model.version === anomaly.model.version)) return null;
  return anomaly.model;
}

/** Which model found a detection; null if only one has judged. */
export const finderOf = ({ detections }: Pick<Inspection, "detections">, index?: number | null): string | null =>
  (typeof index === "number" && detections[index]?.model) || null;
