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

test("a picture of another product has neither a score nor a heat map, because both say nothing", () => {
  const doubts = ["another product: its distance 92.1 is far beyond 60.0"];
  expect(anomalyText({ anomaly, doubts })).toBe("Another product");
  expect(heatMapOf({ anomaly, doubts })).toBeNull();
  expect(anomalyText({ anomaly, doubts: ["the picture is 3 times as large as those of the training"] })).toMatch(
    /0.97/,
  );
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
