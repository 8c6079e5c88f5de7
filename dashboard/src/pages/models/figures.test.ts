import { expect, test } from "vitest";
import type { Model } from "../../api/paths.learning";
import { classPairs, figuresOf } from "./figures";

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

test("a class that only one model knows is compared with nothing", () => {
  expect(classPairs(model(1, {}, { dent: 0.4 }), model(2, {}, { dent: 0.5, stain: 0.2 }))).toEqual([
    { label: "dent", values: [0.4, 0.5], objects: 3 },
    { label: "stain", values: [null, 0.2], objects: 3 },
  ]);
});
