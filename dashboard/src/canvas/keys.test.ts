import { describe, expect, test } from "vitest";
import { actionOf, type Press } from "./keys";
import { apply, start } from "./model";

const LABELS = ["scratch", "dent"];
const free = start({ width: 100, height: 100 }, [
  { id: "m0", label: "scratch", form: { kind: "box", box: [10, 10, 20, 20] } },
]);
const chosen = apply(free, { do: "select", id: "m0" });

function press(key: string, held: Partial<Press> = {}): Press {
  return { key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...held };
}

function act(key: string, held: Partial<Press> = {}, editor = chosen, readOnly = false) {
  return actionOf(press(key, held), editor, { labels: LABELS, readOnly });
}

describe("arrow keys", () => {
  test("move the selected box by one pixel, and by ten with Shift", () => {
    expect(act("ArrowLeft")).toMatchObject({ do: "move", by: [-1, 0] });
    expect(act("ArrowDown", { shiftKey: true })).toMatchObject({ do: "move", by: [0, 10] });
  });

  test("resize by the right and bottom edges with Ctrl, and by the left and top ones with Alt", () => {
    expect(act("ArrowRight", { ctrlKey: true })).toMatchObject({ do: "resize", handle: "se", by: [1, 0] });
    expect(act("ArrowUp", { altKey: true, shiftKey: true })).toMatchObject({
      do: "resize",
      handle: "nw",
      by: [0, -10],
    });
  });

  test("move the view when nothing is selected", () => {
    expect(act("ArrowRight", {}, free)).toEqual({ act: "pan", by: [-60, 0] });
  });
});

test("a number gives the selected box the label of that place, and an unused number does nothing", () => {
  expect(act("2")).toEqual({ do: "relabel", label: "dent" });
  expect(act("3")).toBeNull();
  expect(act("2", {}, free)).toBeNull();
});

test("Ctrl+Z undoes; Ctrl+Y and Ctrl+Shift+Z do it again", () => {
  expect(act("z", { ctrlKey: true })).toEqual({ do: "undo" });
  expect(act("y", { ctrlKey: true })).toEqual({ do: "redo" });
  expect(act("Z", { metaKey: true, shiftKey: true })).toEqual({ do: "redo" });
});

test("a picture that is only shown is zoomed and moved, and never changed", () => {
  for (const key of ["n", "b", "l", "1", "Delete", "i"]) expect(act(key, {}, chosen, true)).toBeNull();
  expect(act("ArrowLeft", {}, chosen, true)).toMatchObject({ act: "pan" });
  expect(act("z", { ctrlKey: true }, chosen, true)).toBeNull();
  expect(act("+", {}, chosen, true)).toEqual({ act: "zoom", factor: 1 });
});

test("the browser's own shortcuts stay the browser's", () => {
  for (const key of ["n", "l", "1", "0", "+", "-", "r"]) expect(act(key, { ctrlKey: true })).toBeNull();
});

test("the letters of the review screen are free", () => {
  for (const key of ["a", "r", "c", "u", "s", "Enter", "?"]) expect(act(key)).toBeNull();
});
