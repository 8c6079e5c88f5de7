// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, beforeEach, expect, test } from "vitest";
import { useEditing } from "./editing";
import type { Shape } from "./model";
import { PictureEditor } from "./picture-editor";

const SIZE = { width: 200, height: 100 };
const SHAPES: Shape[] = [
  { id: "m0", label: "scratch", form: { kind: "box", box: [10, 10, 40, 30] }, score: 0.91, mark: "defect" },
  { id: "m1", label: "dent", form: { kind: "box", box: [60, 10, 90, 30] }, score: 0.4, mark: "doubtful" },
];

function Editor({ readOnly = false, draws = "box" as const }: { readOnly?: boolean; draws?: "box" | "polygon" }) {
  const editing = useEditing(SIZE, SHAPES, String);
  return (
    <PictureEditor
      editing={editing}
      picture="/p.jpg"
      title="Picture of SN1"
      labels={["scratch", "dent"]}
      newLabel="dent"
      readOnly={readOnly}
      draws={draws}
      name={String}
      tone={({ mark }) => `tone-${mark ?? "person"}`}
    />
  );
}

// A document without a layout gives the stage no size.
beforeEach(() => {
  Object.defineProperty(HTMLElement.prototype, "clientWidth", { configurable: true, get: () => 800 });
  Object.defineProperty(HTMLElement.prototype, "clientHeight", { configurable: true, get: () => 400 });
});
afterEach(cleanup);

const stage = () => screen.getByRole("application");
const boxes = () => screen.getAllByRole("button", { name: /pixels at/ }).map((box) => box.getAttribute("aria-label"));
const said = () => document.querySelector("[aria-live]")?.textContent;
const press = (key: string, more = {}) => fireEvent.keyDown(document.activeElement ?? stage(), { key, ...more });

test("each box is spoken with its label, certainty, size and place", () => {
  render(<Editor />);
  expect(boxes()).toEqual([
    "scratch, 91 percent, 30 by 20 pixels at 10, 10, 1 of 2",
    "dent, 40 percent, doubtful, 30 by 20 pixels at 60, 10, 2 of 2",
  ]);
});

test("the keyboard alone adds, labels, moves, resizes, removes and brings back a box, and each change is said", () => {
  render(<Editor />);
  stage().focus();
  press("n");
  expect(boxes()).toHaveLength(3);
  expect(document.activeElement?.getAttribute("data-shape")).toBe("new-1");
  press("1");
  expect(said()).toBe("Now scratch");
  press("ArrowLeft", { shiftKey: true });
  press("ArrowDown", { ctrlKey: true });
  expect(boxes()[2]).toBe("scratch, 20 by 21 pixels at 80, 40, 3 of 3");
  press("Delete");
  expect(said()).toBe("Removed: 2 left");
  expect(document.activeElement).toBe(stage());
  press("z", { ctrlKey: true });
  expect(boxes()).toHaveLength(3);
});

test("the focus selects a box, and Escape deselects it", () => {
  render(<Editor />);
  const second = screen.getByRole("button", { name: /^dent/ });
  act(() => second.focus());
  expect(second.getAttribute("aria-pressed")).toBe("true");
  press("Escape");
  expect(screen.getByRole("button", { name: /^dent/ }).getAttribute("aria-pressed")).toBe("false");
});

test("a box is drawn by dragging over the picture, in its pixels", () => {
  render(<Editor />);
  stage().setPointerCapture = () => undefined;
  stage().focus();
  press("b");
  const at = (x: number, y: number) => ({ pointerId: 1, clientX: x, clientY: y, button: 0 });
  fireEvent.pointerDown(stage(), at(412, 12));
  fireEvent.pointerMove(stage(), at(500, 100));
  fireEvent.pointerUp(stage(), at(800, 388));
  // 800 by 400 with a margin of 12 shows the picture at 3.76 times its size.
  expect(boxes()[2]).toMatch(/^dent, 9\d by \d+ pixels at 10\d, /);
});

test("a picture that is only shown keeps its boxes", () => {
  render(<Editor readOnly />);
  stage().focus();
  for (const key of ["n", "]", "Delete", "1"]) press(key);
  expect(boxes()[0]).toBe("scratch, 91 percent, 30 by 20 pixels at 10, 10, 1 of 2");
  expect(screen.queryByRole("button", { name: "Undo" })).toBeNull();
});

test("a zone is added by a key, and its points are reached and moved by keys", () => {
  render(<Editor draws="polygon" />);
  stage().focus();
  press("n");
  const point = screen.getByRole("button", { name: /^Point 1 of 4/ });
  act(() => point.focus());
  press("ArrowLeft");
  expect(said()).toMatch(/^Point 1 of 4 at \d+, \d+$/);
  press("i");
  expect(screen.getByRole("button", { name: /^Point 2 of 5/ }).getAttribute("aria-pressed")).toBe("true");
});

test("keys that follow each other faster than the screen is drawn leave the focus on the last box", async () => {
  render(<Editor />);
  act(() => stage().focus());
  // Outside of `act`, which would wait for all effects between the keys.
  const key = (name: string) =>
    stage().dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  key("]");
  await waitFor(() => expect(document.querySelector('[data-shape="m0"][aria-pressed="true"]')).not.toBeNull(), {
    interval: 1,
  });
  key("n");
  await waitFor(() => expect(document.activeElement?.getAttribute("data-shape")).toBe("new-1"));
});
