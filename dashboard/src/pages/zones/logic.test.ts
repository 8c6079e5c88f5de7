import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Polygon, RulesDocument } from "../../api/paths.rules";
import type { Point } from "../../canvas/geometry";
import { apply, start } from "../../canvas/model";
import { crossesItself, isLeftOut, originalsOf, shapesOf, withZones, zonesFrom, zonesOf } from "./logic";

const LEFT: Polygon = [
  [0, 0],
  [0.5, 0],
  [0.5, 1],
  [0, 1],
];
const document: RulesDocument = {
  version: "1",
  zones: { "line-1": { ignored: [LEFT] }, "line-2": { regions: [LEFT] } },
};
const size = { width: 333, height: 77 };
const share = fc.double({ min: 0, max: 1, noNaN: true });
const polygon: fc.Arbitrary<Polygon> = fc.array(fc.tuple(share, share), { minLength: 3, maxLength: 6 });

test("zones that nobody changes stay exactly as they are written", () => {
  fc.assert(
    fc.property(fc.array(polygon, { maxLength: 3 }), fc.array(polygon, { maxLength: 3 }), (regions, ignored) => {
      const zones = { regions, ignored };
      const editor = start(size, shapesOf(zones, size));
      expect(zonesFrom(editor.shapes, size, originalsOf(zones, editor.shapes))).toEqual(zones);
    }),
  );
});

test("a zone that changes its kind moves to the other list", () => {
  const zones = zonesOf(document, "line-1");
  const editor = start(size, shapesOf(zones, size));
  const changed = [{ do: "select", id: "ignored-0" } as const, { do: "relabel", label: "region" } as const].reduce(
    apply,
    editor,
  );
  expect(zonesFrom(changed.shapes, size, originalsOf(zones, editor.shapes))).toEqual({ regions: [LEFT], ignored: [] });
});

test("moved points are shares of the picture, and inside it", () => {
  const editor = apply(start({ width: 200, height: 100 }), {
    do: "add",
    label: "region",
    form: {
      kind: "polygon",
      points: [
        [-5, 0],
        [50, 0],
        [50, 25.5],
      ],
    },
  });
  expect(zonesFrom(editor.shapes, editor.size, new Map()).regions).toEqual([
    [
      [0, 0],
      [0.25, 0],
      [0.25, 0.255],
    ],
  ]);
});

test("a line without zones has no entry, and the zones of others stay", () => {
  const without = withZones(document, "line-1", { regions: [], ignored: [] });
  expect(without.zones).toEqual({ "line-2": { regions: [LEFT] } });
  expect(withZones(without, "line-2", { regions: [], ignored: [] })).toEqual({ version: "1" });
});

describe("a detection", () => {
  test("counts everywhere without zones, and outside ignored ones", () => {
    expect(isLeftOut([0, 0, 0.1, 0.1], { regions: [], ignored: [] })).toBe(false);
    expect(isLeftOut([0.6, 0, 0.9, 0.5], { regions: [], ignored: [LEFT] })).toBe(false);
  });

  test("is left out with nine tenths of its box in an ignored zone, and not with half", () => {
    expect(isLeftOut([0.2, 0, 0.52, 0.5], { regions: [], ignored: [LEFT] })).toBe(true);
    expect(isLeftOut([0.4, 0, 0.6, 0.5], { regions: [], ignored: [LEFT] })).toBe(false);
  });

  test("is left out outside all regions, and in an ignored zone of a region", () => {
    expect(isLeftOut([0.6, 0, 0.9, 0.5], { regions: [LEFT], ignored: [] })).toBe(true);
    expect(isLeftOut([0.1, 0, 0.2, 0.5], { regions: [LEFT], ignored: [LEFT] })).toBe(true);
    expect(isLeftOut([0.1, 0, 0.2, 0.5], { regions: [LEFT], ignored: [] })).toBe(false);
  });
});

test("a polygon like an hourglass crosses itself, and a square does not", () => {
  const square: Point[] = [
    [0, 0],
    [10, 0],
    [10, 10],
    [0, 10],
  ];
  const hourglass: Point[] = [
    [0, 0],
    [10, 10],
    [10, 0],
    [0, 10],
  ];
  expect(crossesItself(square)).toBe(false);
  expect(crossesItself(hourglass)).toBe(true);
  expect(crossesItself(square.slice(0, 3))).toBe(false);
});
