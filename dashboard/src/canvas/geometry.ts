/** Boxes, polygons and points, in pixels of the upright picture, rounded to a tenth. Everything stays inside the picture. */

export type Point = readonly [x: number, y: number];
/** Left, top, right, bottom. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The corner or edge by which a box is resized, as a compass names it. */
export const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"] as const;
export type Handle = (typeof HANDLES)[number];

/** A box that a person draws or resizes has at least this many pixels on each side, or it could not be taken hold of. */
export const SMALLEST_SIDE = 2;
/** The rules take polygons with this many points. */
export const FEWEST_POINTS = 3;
export const MOST_POINTS = 50;

/** Round to a tenth of a pixel. More digits are noise of the pointer. */
export function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

export function pointInside([x, y]: Point, size: Size): Point {
  return [tenth(clamp(x, 0, size.width)), tenth(clamp(y, 0, size.height))];
}

/** The box between two corners, in any order. It is inside the picture and at least `SMALLEST_SIDE` wide and high. */
export function boxBetween(one: Point, other: Point, size: Size): Box {
  const [ax, ay] = pointInside(one, size);
  const [bx, by] = pointInside(other, size);
  const [x1, x2] = apart(Math.min(ax, bx), Math.max(ax, bx), size.width);
  const [y1, y2] = apart(Math.min(ay, by), Math.max(ay, by), size.height);
  return [x1, y1, x2, y2];
}

/** Widen an interval to `SMALLEST_SIDE`, without leaving the picture. */
function apart(low: number, high: number, most: number): Point {
  const least = Math.min(SMALLEST_SIDE, most);
  if (high - low >= least) return [low, high];
  const start = tenth(clamp(low, 0, most - least));
  return [start, tenth(start + least)];
}

/** The part of a box that is inside the picture. */
export function boxInside([x1, y1, x2, y2]: Box, size: Size): Box {
  return boxBetween([x1, y1], [x2, y2], size);
}

/** The box moved, with its size kept: it stops at the picture's edge. */
export function moveBox([x1, y1, x2, y2]: Box, [dx, dy]: Point, size: Size): Box {
  const left = tenth(clamp(x1 + dx, 0, size.width - (x2 - x1)));
  const top = tenth(clamp(y1 + dy, 0, size.height - (y2 - y1)));
  return [left, top, tenth(left + (x2 - x1)), tenth(top + (y2 - y1))];
}

/** The box with one corner or edge moved. An edge stops before the opposite one, and at the picture's edge. */
export function resizeBox(box: Box, handle: Handle, [dx, dy]: Point, size: Size): Box {
  let [x1, y1, x2, y2] = box;
  if (handle.includes("w")) x1 = tenth(clamp(x1 + dx, 0, Math.max(0, x2 - SMALLEST_SIDE)));
  if (handle.includes("e")) x2 = tenth(clamp(x2 + dx, Math.min(size.width, x1 + SMALLEST_SIDE), size.width));
  if (handle.startsWith("n")) y1 = tenth(clamp(y1 + dy, 0, Math.max(0, y2 - SMALLEST_SIDE)));
  if (handle.startsWith("s")) y2 = tenth(clamp(y2 + dy, Math.min(size.height, y1 + SMALLEST_SIDE), size.height));
  return [x1, y1, x2, y2];
}

/** Where the handle of a box is. */
export function handlePoint([x1, y1, x2, y2]: Box, handle: Handle): Point {
  const x = handle.includes("w") ? x1 : handle.includes("e") ? x2 : (x1 + x2) / 2;
  const y = handle.startsWith("n") ? y1 : handle.startsWith("s") ? y2 : (y1 + y2) / 2;
  return [x, y];
}

/** The smallest box around points. */
export function around(points: readonly Point[]): Box {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** The polygon moved, with its form kept: it stops at the picture's edge. */
export function movePolygon(points: readonly Point[], [dx, dy]: Point, size: Size): Point[] {
  const [x1, y1, x2, y2] = around(points);
  const x = clamp(dx, -x1, size.width - x2);
  const y = clamp(dy, -y1, size.height - y2);
  return points.map((point) => pointInside([point[0] + x, point[1] + y], size));
}

/** Whether a point is inside a polygon, by the even-odd rule. */
export function contains(points: readonly Point[], [x, y]: Point): boolean {
  let inside = false;
  points.forEach(([ax, ay], index) => {
    const [bx, by] = points[(index + 1) % points.length] as Point;
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  });
  return inside;
}

/** The signed area: positive if the points run clockwise on the screen. */
export function areaOf(points: readonly Point[]): number {
  return (
    points.reduce((sum, [ax, ay], index) => {
      const [bx, by] = points[(index + 1) % points.length] as Point;
      return sum + ax * by - bx * ay;
    }, 0) / 2
  );
}
