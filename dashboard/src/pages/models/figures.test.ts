import { expect, test } from "vitest";
import type { Model } from "../../api/paths.learning";
import { classPairs, figuresFor, figuresOf } from "./figures";

function model(version: number, metrics: Model["metrics"], classes: Record<string, number> = {}): Model {
  return {
    version,
    package_arn: "arn",
    status: "former",
    family: null,
    created_at: "",
    serving_since: null,
    run: null,
    dataset: null,
    rules_version: null,
    model_version: null,
    metrics,
    per_class: Object.fromEntries(Object.entries(classes).map(([label, ap]) => [label, { ap, objects: 3 }])),
  };
}

test("more precision is better, and fewer escapes and less time are", () => {
  const rows = figuresOf(
    model(1, { map: 0.6, escape_rate: { value: 0.02 }, latency: { p95_ms: 20 } }),
    model(2, { map: 0.5, escape_rate: { value: 0.01 }, latency: { p95_ms: 30 } }),
  );
  expect(rows.map(({ name, better }) => [name, better])).toEqual([
    ["mAP", 0],
    ["mAP50", null],
    ["Escape", 1],
    ["Overkill", null],
    ["Latency p95", 0],
  ]);
});

test("what is unknown or equal is better for neither", () => {
  const rows = figuresOf(model(1, { map: 0.5 }), model(2, { map: 0.5, map50: 0.8 }));
  expect(rows.slice(0, 2).map(({ texts, better }) => [...texts, better])).toEqual([
    ["0.500", "0.500", null],
    ["–", "0.800", null],
  ]);
});

test("an anomaly model is shown by its image AUROC, and beside a detector by what both were measured by", () => {
  const names = (...models: Model[]) => figuresFor(models).map(({ name }) => name);
  const anomaly = model(1, { map: null, image_auroc: 0.998, caught_at_zero_overkill: 0.96 });
  const rates = ["Escape", "Overkill", "Latency p95"];
  expect(names(anomaly)).toEqual(["Image AUROC", "Caught at zero overkill", ...rates]);
  expect(names(model(2, { map: 0.5 }))).toEqual(["mAP", "mAP50", ...rates]);
  expect(names(anomaly, model(2, { map: 0.5, image_auroc: 0.9 }))).toEqual([
    "mAP",
    "Image AUROC",
    "Caught at zero overkill",
    ...rates,
  ]);
});

test("of two anomaly models the one that catches more without overkill is better", () => {
  const rows = figuresOf(
    model(1, { image_auroc: 0.99, caught_at_zero_overkill: 0.9 }),
    model(2, { image_auroc: 0.99, caught_at_zero_overkill: 0.95 }),
  );
  expect(rows.slice(0, 2)).toEqual([
    { name: "Image AUROC", texts: ["0.990", "0.990"], better: null },
    { name: "Caught at zero overkill", texts: ["90.0 %", "95.0 %"], better: 1 },
  ]);
});

test("a class that only one model knows is compared with nothing", () => {
  expect(classPairs(model(1, {}, { dent: 0.4 }), model(2, {}, { dent: 0.5, stain: 0.2 }))).toEqual([
    { label: "dent", values: [0.4, 0.5], objects: 3 },
    { label: "stain", values: [null, 0.2], objects: 3 },
  ]);
});
