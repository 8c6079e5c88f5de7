import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { around, type Box, HANDLES, type Point, type Size, SMALLEST_SIDE } from "./geometry";
import { apply, type Command, type Editor, type Form, type Shape, selectedShape, start } from "./model";

const number = fc.double({ min: -500, max: 900, noNaN: true });
const size: fc.Arbitrary<Size> = fc.record({
  width: fc.integer({ min: 8, max: 400 }),
  height: fc.integer({ min: 8, max: 400 }),
});
const point: fc.Arbitrary<Point> = fc.tuple(number, number);
const form: fc.Arbitrary<Form> = fc.oneof(
  fc.record({ kind: fc.constant("box" as const), box: fc.tuple(number, number, number, number) }),
  fc.record({ kind: fc.constant("polygon" as const), points: fc.array(point, { minLength: 3, maxLength: 8 }) }),
);
const label = fc.constantFrom("scratch", "dent", "stain");
const id = fc.constantFrom("m0", "m1", "new-1", "new-2", "nobody");
const stroke = fc.constantFrom("a", "b");
const edit: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant("select" as const), id, point: fc.option(fc.integer({ min: 0, max: 8 })) }),
  fc.record({ do: fc.constant("next" as const), by: fc.constantFrom(1 as const, -1 as const) }),
  fc.record({ do: fc.constant("add" as const), label, form }),
  fc.record({ do: fc.constant("move" as const), by: point, stroke }),
  fc.record({ do: fc.constant("resize" as const), handle: fc.constantFrom(...HANDLES), by: point, stroke }),
  fc.record({ do: fc.constant("place" as const), id, form, stroke }),
  fc.record({ do: fc.constant("insert-point" as const), after: fc.integer({ min: 0, max: 8 }) }),
  fc.record({ do: fc.constant("relabel" as const), label }),
  fc.record({ do: fc.constantFrom("remove" as const, "clear" as const) }),
);
const step: fc.Arbitrary<Command> = fc.oneof(
  { arbitrary: edit, weight: 4 },
  { arbitrary: fc.record({ do: fc.constantFrom("undo" as const, "redo" as const) }), weight: 1 },
);
const shapes: fc.Arbitrary<Shape[]> = fc
  .array(fc.record({ label, form, score: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }) }), {
    maxLength: 2,
  })
  .map((all) => all.map((shape, index) => ({ ...shape, id: `m${index}` })));

function run(editor: Editor, commands: readonly Command[]): Editor {
  return commands.reduce(apply, editor);
}

function box(values: Box): Form {
  return { kind: "box", box: values };
}

function shape(name: string, values: Box): Shape {
  return { id: name, label: "scratch", form: box(values), score: 0.9 };
}

const PICTURE: Size = { width: 200, height: 100 };

describe("whatever a person does", () => {
  test("every shape stays inside the picture, in tenths of a pixel", () => {
    fc.assert(
      fc.property(size, shapes, fc.array(step, { maxLength: 25 }), (picture, first, commands) => {
        for (const { form } of run(start(picture, first), commands).shapes) {
          const edges = form.kind === "box" ? form.box : around(form.points);
          expect(edges[0]).toBeGreaterThanOrEqual(0);
          expect(edges[1]).toBeGreaterThanOrEqual(0);
          expect(edges[2]).toBeLessThanOrEqual(picture.width);
          expect(edges[3]).toBeLessThanOrEqual(picture.height);
          for (const edge of edges) expect(edge * 10).toBeCloseTo(Math.round(edge * 10), 6);
        }
      }),
    );
  });

  test("every box keeps its smallest side, and every polygon three to fifty points", () => {
    fc.assert(
      fc.property(size, shapes, fc.array(step, { maxLength: 25 }), (picture, first, commands) => {
        for (const { form } of run(start(picture, first), commands).shapes) {
          if (form.kind === "box") {
            expect(form.box[2] - form.box[0]).toBeGreaterThan(SMALLEST_SIDE - 1e-6);
            expect(form.box[3] - form.box[1]).toBeGreaterThan(SMALLEST_SIDE - 1e-6);
          } else {
            expect(form.points.length).toBeGreaterThanOrEqual(3);
            expect(form.points.length).toBeLessThanOrEqual(50);
          }
        }
      }),
    );
  });

  test("undo brings back the shapes as they were, and redo the last ones", () => {
    fc.assert(
      fc.property(size, shapes, fc.array(edit, { maxLength: 25 }), (picture, first, commands) => {
        const before = start(picture, first);
        const after = run(before, commands);
        const undone = run(
          after,
          after.past.map(() => ({ do: "undo" })),
        );
        expect(undone.shapes).toEqual(before.shapes);
        const redone = run(
          undone,
          undone.future.map(() => ({ do: "redo" })),
        );
        expect(redone.shapes).toEqual(after.shapes);
      }),
    );
  });

  test("the selected shape and point exist, and no two shapes share an id", () => {
    fc.assert(
      fc.property(size, shapes, fc.array(step, { maxLength: 25 }), (picture, first, commands) => {
        const editor = run(start(picture, first), commands);
        const chosen = selectedShape(editor);
        if (editor.selected !== null) expect(chosen).toBeDefined();
        if (editor.point !== null) {
          expect(chosen?.form.kind === "polygon" && chosen.form.points[editor.point]).toBeTruthy();
        }
        expect(new Set(editor.shapes.map((each) => each.id)).size).toBe(editor.shapes.length);
      }),
    );
  });
});

test("a box that is moved against the edge keeps its size", () => {
  const editor = run(start(PICTURE, [shape("m0", [150, 10, 190, 40])]), [
    { do: "select", id: "m0" },
    { do: "move", by: [100, -100] },
  ]);
  expect(editor.shapes[0]?.form).toEqual(box([160, 0, 200, 30]));
});

test("an edge that is dragged over the opposite one stops before it", () => {
  const editor = run(start(PICTURE, [shape("m0", [50, 10, 90, 40])]), [
    { do: "select", id: "m0" },
    { do: "resize", handle: "w", by: [300, 0] },
  ]);
  expect(editor.shapes[0]?.form).toEqual(box([88, 10, 90, 40]));
});

test("a box that a person changes no longer carries the model's score, and gets it back by undo", () => {
  const selected = run(start(PICTURE, [shape("m0", [50, 10, 90, 40])]), [{ do: "select", id: "m0" }]);
  const changed = apply(selected, { do: "relabel", label: "dent" });
  expect(changed.shapes[0]).not.toHaveProperty("score");
  expect(apply(changed, { do: "undo" }).shapes[0]?.score).toBe(0.9);
});

test("the moves of one drag are one step of undo, and two drags are two", () => {
  const place = (x: number, stroke: string): Command => ({
    do: "place",
    id: "m0",
    form: box([x, 0, x + 10, 10]),
    stroke,
  });
  const editor = run(start(PICTURE, [shape("m0", [0, 0, 10, 10])]), [
    place(5, "1"),
    place(9, "1"),
    place(20, "2"),
    place(30, "2"),
  ]);
  expect(apply(editor, { do: "undo" }).shapes[0]?.form).toEqual(box([9, 0, 19, 10]));
  expect(editor.past).toHaveLength(2);
});

test("a key that is pressed again after undo starts a new step", () => {
  const move: Command = { do: "move", by: [1, 0], stroke: "move m0" };
  const editor = run(start(PICTURE, [shape("m0", [0, 0, 10, 10])]), [
    { do: "select", id: "m0" },
    move,
    move,
    { do: "undo" },
    move,
  ]);
  expect(apply(editor, { do: "undo" }).shapes[0]?.form).toEqual(box([0, 0, 10, 10]));
});

test("delete takes a point while three remain, and then the polygon", () => {
  const square: Form = {
    kind: "polygon",
    points: [
      [0, 0],
      [10, 0],
      [10, 10],
      [0, 10],
    ],
  };
  const four = run(start(PICTURE), [
    { do: "add", label: "ignored", form: square },
    { do: "select", id: "new-1", point: 3 },
  ]);
  const three = apply(four, { do: "remove" });
  expect(three.shapes[0]?.form).toEqual({
    kind: "polygon",
    points: [
      [0, 0],
      [10, 0],
      [10, 10],
    ],
  });
  expect(apply(three, { do: "remove" }).shapes).toEqual([]);
});

test("a new point lies in the middle of the edge after the selected one", () => {
  const triangle: Form = {
    kind: "polygon",
    points: [
      [0, 0],
      [10, 0],
      [10, 10],
    ],
  };
  const editor = run(start(PICTURE), [
    { do: "add", label: "region", form: triangle },
    { do: "insert-point", after: 2 },
  ]);
  expect(editor.shapes[0]?.form).toEqual({
    kind: "polygon",
    points: [
      [0, 0],
      [10, 0],
      [10, 10],
      [5, 5],
    ],
  });
  expect(editor.point).toBe(3);
});
