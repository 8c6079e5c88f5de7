import { expect, test } from "vitest";
import { apply, type Command, type Editor, start } from "./model";
import { announce, describe } from "./spoken";

const name = (label: string): string => label.toUpperCase();
const first = start({ width: 100, height: 80 }, [
  { id: "m0", label: "scratch", form: { kind: "box", box: [10, 20, 30, 25] }, score: 0.413, mark: "doubtful" },
  { id: "m1", label: "dent", form: { kind: "box", box: [50, 20, 60, 30] } },
]);

function say(command: Command, before: Editor = apply(first, { do: "select", id: "m0" })): string {
  return announce(command, before, apply(before, command), name);
}

test("a box is spoken with its label, how sure the model was, its size, its place and its number", () => {
  expect(first.shapes.map((shape) => describe(shape, first, name))).toEqual([
    "SCRATCH, 41 percent, doubtful, 20 by 5 pixels at 10, 20, 1 of 2",
    "DENT, 10 by 10 pixels at 50, 20, 2 of 2",
  ]);
});

test("a move says where the box is now, and one against the edge that it went no further", () => {
  expect(say({ do: "move", by: [5, 0] })).toBe("20 by 5 pixels at 15, 20");
  const atEdge = apply(apply(first, { do: "select", id: "m0" }), { do: "move", by: [-100, 0] });
  expect(say({ do: "move", by: [-1, 0] }, atEdge)).toBe("At the edge");
});

test("what was removed, labelled or undone is said", () => {
  expect(say({ do: "remove" })).toBe("Removed: 1 left");
  expect(say({ do: "relabel", label: "dent" })).toBe("Now DENT");
  expect(say({ do: "undo" })).toBe("Nothing to undo");
});
