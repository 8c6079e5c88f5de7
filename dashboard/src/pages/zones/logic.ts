/** Zones of a line between the document (shares of the picture) and the editor (pixels), and what they leave out. */

import type { Polygon, RulesDocument, Zones } from "../../api/paths.rules";
import type { Detection } from "../../api/types";
import { type Box, contains, type Point, type Size } from "../../canvas/geometry";
import type { Form, Shape } from "../../canvas/model";

export const KINDS = ["region", "ignored"] as const;
export type Kind = (typeof KINDS)[number];

/** Digits of a share: a tenth of a pixel in pictures of 10,000 pixels. */
const DIGITS = 5;
/** The rules leave a detection out if at most this share of its box lies where defects count (inspection/zones.py). */
const MOST_INSPECTED = 0.1;
/** Places in a box, on each side, at which its share is measured. The rules measure it exactly. */
const SAMPLES = 24;

export function zonesOf(document: RulesDocument, line: string): Required<Zones> {
  const { regions = [], ignored = [] } = document.zones?.[line] ?? {};
  return { regions, ignored };
}

/** The document with the zones of a line; without any, the line has no entry. */
export function withZones(document: RulesDocument, line: string, { regions, ignored }: Required<Zones>): RulesDocument {
  const { [line]: before, ...others } = document.zones ?? {};
  // An empty list that is written stays, so that it is no change.
  const own: Zones = {
    ...((regions.length || before?.regions) && { regions }),
    ...((ignored.length || before?.ignored) && { ignored }),
  };
  const zones = regions.length || ignored.length ? { ...others, [line]: own } : others;
  const { zones: _zones, ...rest } = document;
  return Object.keys(zones).length ? { ...rest, zones } : (rest as RulesDocument);
}

/** The shapes of a line's zones on a picture. */
export function shapesOf({ regions, ignored }: Required<Zones>, size: Size): Shape[] {
  const shape = (label: Kind) => (polygon: Polygon, index: number) => ({
    id: `${label}-${index}`,
    label,
    form: { kind: "polygon" as const, points: polygon.map(([x, y]): Point => [x * size.width, y * size.height]) },
  });
  return [...regions.map(shape("region")), ...ignored.map(shape("ignored"))];
}

/** A polygon that nobody has changed, as the document has it: pixels would round it. */
export type Originals = ReadonlyMap<string, { readonly form: Form; readonly polygon: Polygon }>;

export function originalsOf(zones: Required<Zones>, shapes: readonly Shape[]): Originals {
  const polygons = [...zones.regions, ...zones.ignored];
  return new Map(shapes.map(({ id, form }, index) => [id, { form, polygon: polygons[index] ?? [] }]));
}

/** The zones that shapes stand for. */
export function zonesFrom(shapes: readonly Shape[], size: Size, originals: Originals): Required<Zones> {
  const polygons = (kind: Kind) =>
    shapes.filter(({ label }) => label === kind).map((shape) => polygonOf(shape, size, originals));
  return { regions: polygons("region"), ignored: polygons("ignored") };
}

function polygonOf({ id, form }: Shape, size: Size, originals: Originals): Polygon {
  const original = originals.get(id);
  if (original && JSON.stringify(original.form) === JSON.stringify(form)) return original.polygon;
  const points = form.kind === "polygon" ? form.points : [];
  return points.map(([x, y]) => [share(x / size.width), share(y / size.height)]);
}

function share(value: number): number {
  return Number(Math.min(1, Math.max(0, value)).toFixed(DIGITS));
}

/** Whether a detection does not count, nearly as exactly as the rules know it. box: in shares of the picture. */
export function isLeftOut(box: Box, { regions, ignored }: Required<Zones>): boolean {
  if (!regions.length && !ignored.length) return false;
  const [x1, y1, x2, y2] = box;
  let counted = 0;
  for (let row = 0; row < SAMPLES; row += 1) {
    for (let column = 0; column < SAMPLES; column += 1) {
      const at: Point = [x1 + ((column + 0.5) / SAMPLES) * (x2 - x1), y1 + ((row + 0.5) / SAMPLES) * (y2 - y1)];
      const inside = (polygon: Polygon) => contains(polygon, at);
      if ((!regions.length || regions.some(inside)) && !ignored.some(inside)) counted += 1;
    }
  }
  return counted / SAMPLES ** 2 <= MOST_INSPECTED;
}

/** A detection's box in shares of its own picture. */
export function shareBox({ box: [x1, y1, x2, y2] }: Detection, { width, height }: Size): Box {
  return [x1 / width, y1 / height, x2 / width, y2 / height];
}

/** Whether two edges of a polygon cross, which the rules refuse. */
export function crossesItself(points: readonly Point[]): boolean {
  const edges = points.map((point, index) => [point, points[(index + 1) % points.length] as Point] as const);
  return edges.some((one, i) =>
    edges.some((other, j) => {
      const neighbours = Math.abs(i - j) === 1 || Math.abs(i - j) === edges.length - 1;
      return i < j && !neighbours && cross(one, other);
    }),
  );
}

type Edge = readonly [Point, Point];

function cross([a, b]: Edge, [c, d]: Edge): boolean {
  return side(a, b, c) * side(a, b, d) <= 0 && side(c, d, a) * side(c, d, b) <= 0;
}

function side(a: Point, b: Point, c: Point): number {
  return Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
}
