import { describe, expect, it } from "vitest";
import type { Bucket } from "../api/types";
import { controlPoints } from "./control-chart";
import { noCounts, share, sumOf, yieldOf } from "./counts";
import { pareto } from "./pareto";

const bucket = (inspected: number, fail: number): Bucket => ({
  ...noCounts(),
  start: "2026-11-28T00:00:00Z",
  inspected,
  fail,
});

describe("the control chart", () => {
  it("marks what lies outside its own limits, on both sides", () => {
    const points = controlPoints({
      buckets: [bucket(100, 10), bucket(100, 30), bucket(100, 0)],
      control: { centre: 0.13, lower: [0.03, 0.03, 0.03], upper: [0.23, 0.23, 0.23] },
    });
    expect(points.map((point) => point.outside)).toEqual([null, "above", "below"]);
    expect(points[1]?.rate).toBe(0.3);
  });

  it("does not take a rate on its limit, or an hour without pictures, for an outlier", () => {
    const points = controlPoints({
      buckets: [bucket(100, 23), bucket(0, 0)],
      control: { centre: 0.13, lower: [0, null], upper: [0.23, null] },
    });
    expect(points.map((point) => point.outside)).toEqual([null, null]);
    expect(points[1]?.rate).toBeNull();
  });
});

describe("the Pareto chart", () => {
  it("has the most frequent defect first, and ends at all of them", () => {
    const rows = pareto({ scratches: 1, patches: 6, crazing: 3, none: 0 });
    expect(rows.map((row) => row.label)).toEqual(["patches", "crazing", "scratches"]);
    expect(rows.map((row) => row.cumulative)).toEqual([0.6, 0.9, 1]);
  });

  it("counts the rarer defects together, and loses none", () => {
    const rows = pareto({ a: 5, b: 4, c: 3, d: 2, e: 1 }, 3);
    expect(rows.map((row) => [row.label, row.count])).toEqual([
      ["a", 5],
      ["b", 4],
      [null, 6],
    ]);
    expect(rows.at(-1)?.cumulative).toBe(1);
  });

  it("is empty without defects", () => {
    expect(pareto({})).toEqual([]);
  });
});

describe("the yield", () => {
  it("counts what waits for a person as not passed", () => {
    expect(yieldOf({ pass: 90, inspected: 100 })).toBe(0.9);
    expect(yieldOf(noCounts())).toBeNull();
    expect(share(1, 0)).toBeNull();
  });

  it("of a line is that of all its stations together", () => {
    const one = { ...noCounts(), inspected: 10, pass: 9, fail: 1, defects: { scratches: 1 } };
    const sum = sumOf([one, one]);
    expect(yieldOf(sum)).toBe(0.9);
    expect(sum.defects).toEqual({ scratches: 2 });
  });
});
