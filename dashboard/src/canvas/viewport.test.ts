import fc from "fast-check";
import { expect, test } from "vitest";
import type { Point, Size } from "./geometry";
import { middle, pan, reveal, toPicture, toScreen, type View, whole, zoomAt } from "./viewport";

const stage: Size = { width: 800, height: 600 };
const picture: Size = { width: 1000, height: 400 };
const side = fc.integer({ min: 20, max: 5000 });
const size: fc.Arbitrary<Size> = fc.record({ width: side, height: side });
const onStage: fc.Arbitrary<Point> = fc.tuple(fc.integer({ min: 0, max: 800 }), fc.integer({ min: 0, max: 600 }));

test("the whole picture is in sight at first, with the same space on both sides", () => {
  const view = whole(stage, picture);
  const [left, top] = toScreen(view, [0, 0]);
  const [right, bottom] = toScreen(view, [1000, 400]);
  expect(left).toBeCloseTo(stage.width - right, 6);
  expect(top).toBeCloseTo(stage.height - bottom, 6);
  expect(left).toBeGreaterThanOrEqual(0);
});

test("the place under the pointer stays there while zooming into it", () => {
  const view = whole(stage, picture);
  const under = toPicture(view, [300, 250]);
  const [x, y] = toScreen(zoomAt(view, 2, [300, 250], stage, picture), under);
  expect(x).toBeCloseTo(300, 6);
  expect(y).toBeCloseTo(250, 6);
});

test("a point on the screen and its place in the picture are each other's inverse", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 64, noNaN: true }), onStage, onStage, (scale, [x, y], at) => {
      const view: View = { scale, x, y };
      const back = toScreen(view, toPicture(view, at));
      expect(back[0]).toBeCloseTo(at[0], 6);
      expect(back[1]).toBeCloseTo(at[1], 6);
    }),
  );
});

test("a part of the picture stays in sight, however it is zoomed and dragged", () => {
  const move = fc.oneof(
    fc.tuple(fc.constant("zoom" as const), fc.double({ min: 0.1, max: 8, noNaN: true }), onStage),
    fc.tuple(fc.constant("pan" as const), fc.integer({ min: -3000, max: 3000 }), onStage),
  );
  fc.assert(
    fc.property(size, fc.array(move, { maxLength: 12 }), (picture, moves) => {
      const view = moves.reduce(
        (now, [what, by, at]) =>
          what === "zoom" ? zoomAt(now, by, at, stage, picture) : pan(now, [by, -by], stage, picture),
        whole(stage, picture),
      );
      const [left, top] = toScreen(view, [0, 0]);
      const [right, bottom] = toScreen(view, [picture.width, picture.height]);
      expect(Math.min(right, stage.width) - Math.max(left, 0)).toBeGreaterThan(0);
      expect(Math.min(bottom, stage.height) - Math.max(top, 0)).toBeGreaterThan(0);
    }),
  );
});

test("the middle of what is in sight is inside the picture", () => {
  const view = zoomAt(whole(stage, picture), 6, [0, 0], stage, picture);
  const [x, y] = middle(view, stage, picture);
  expect(x).toBeGreaterThan(0);
  expect(x).toBeLessThan(1000);
  expect(y).toBeGreaterThan(0);
  expect(y).toBeLessThan(400);
});

test("a box outside the screen is brought into its middle, and one inside moves nothing", () => {
  const view: View = { scale: 4, x: 0, y: 0 };
  const [x, y] = toScreen(reveal(view, [500, 300, 510, 310], stage), [505, 305]);
  expect([x, y]).toEqual([400, 300]);
  expect(reveal(view, [10, 10, 20, 20], stage)).toEqual(view);
});
