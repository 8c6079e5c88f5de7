import { expect, test } from "vitest";
import { anomalyText, finderOf, heatMapOf, secondModel } from "./anomaly";

const PARTS = { name: "parts", version: "1" };
const anomaly = { score: 0.974, distance: 31, model: PARTS, heat_map: "data:image/png;base64,AAAA" };

test("the score of the picture stands beside the verdict, and nothing without an anomaly model", () => {
  expect(anomalyText({ anomaly })).toBe("Anomaly 0.97");
  expect(anomalyText({})).toBeNull();
  expect(heatMapOf({ anomaly })).toBe(anomaly.heat_map);
  expect(heatMapOf({ anomaly: { ...anomaly, heat_map: null } })).toBeNull();
});

test("a picture that the model cannot judge has neither a score nor a heat map, because both say nothing", () => {
  const foreign = { ...anomaly, score: null };
  expect(anomalyText({ anomaly: foreign })).toBe("Anomaly not judged");
  expect(heatMapOf({ anomaly: foreign })).toBeNull();
  const usual = { ...anomaly, score: 0 };
  expect(anomalyText({ anomaly: usual })).toBe("Anomaly 0.00");
  expect(heatMapOf({ anomaly: usual })).toBe(anomaly.heat_map);
});

test("where two models have judged, each detection tells which one found it", () => {
  const both = {
    anomaly,
    model: { name: "press", version: "7" },
    detections: [
      { label: "dent", score: 0.9, box: [0, 0, 1, 1] as [number, number, number, number], model: "press" },
      { label: "anomaly", score: 0.9, box: [0, 0, 1, 1] as [number, number, number, number], model: "parts" },
    ],
  };
  expect([finderOf(both, 0), finderOf(both, 1), finderOf(both, null), finderOf(both, 2)]).toEqual([
    "press",
    "parts",
    null,
    null,
  ]);
  expect(secondModel(both)).toEqual(PARTS);
  expect(secondModel({ anomaly, model: PARTS })).toBeNull();
  expect(secondModel({ model: PARTS })).toBeNull();
});
