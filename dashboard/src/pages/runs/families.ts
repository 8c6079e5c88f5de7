/** What a training can be asked for: families of both kinds, and what applies to them. */

import type { StartRun } from "../../api/paths.learning";

/** functions/retraining/families.json */
export const DETECTORS: readonly string[] = [
  "dfine_nano",
  "dfine_small",
  "faster_rcnn_mobilenet",
  "faster_rcnn_resnet50",
  "fcos_efficientnet_lite0",
  "gfl_efficientnet_lite0",
  "gfl_efficientnet_lite2",
  "rtdetr_v2",
  "ssd300_vgg16",
  "ssd512_resnet50",
  "ssdlite",
];
/** contract/families.py: they learn from good parts alone. */
export const ANOMALY_MODELS: readonly string[] = ["patchcore_efficientnet_lite0"];

const isDetector = (family: string): boolean => !ANOMALY_MODELS.includes(family);

/** Whether a run may train detectors: it names some, or leaves the choice to the stack. */
export const trainsDetectors = ({ families }: StartRun): boolean => !families?.length || families.some(isDetector);

/** Whether a run is asked for families of both kinds. */
export const trainsBoth = ({ families = [] }: StartRun): boolean =>
  families.some(isDetector) && !families.every(isDetector);

/** What is sent. Epochs and tuning are for detectors; the API refuses them in a run without any. */
export function requestOf(wanted: StartRun): StartRun {
  if (trainsDetectors(wanted)) return wanted;
  const { epochs: _epochs, tune: _tune, ...others } = wanted;
  return others;
}
