/**
 * What a picture editor holds: shapes on a picture, which one is selected, and the states before. No DOM: every change
 * is a command, and `apply` returns the next state, so that keys, pointers, buttons and tests do the same.
 */

import {
  type Box,
  boxInside,
  FEWEST_POINTS,
  type Handle,
  MOST_POINTS,
  moveBox,
  movePolygon,
  type Point,
  pointInside,
  resizeBox,
  type Size,
} from "./geometry";

export type Form =
  | { readonly kind: "box"; readonly box: Box }
  | { readonly kind: "polygon"; readonly points: readonly Point[] };

/**
 * A labelled box or polygon. `score` and `mark` (what the rules made of it) are the model's, and go as soon as a person
 * changes the shape.
 */
export interface Shape {
  readonly id: string;
  readonly label: string;
  readonly form: Form;
  readonly score?: number | undefined;
  readonly mark?: "defect" | "doubtful" | "allowed" | undefined;
}

export interface Editor {
  readonly size: Size;
  readonly shapes: readonly Shape[];
  /** The id of the selected shape. */
  readonly selected: string | null;
  /** The selected point of a selected polygon. */
  readonly point: number | null;
  readonly past: readonly (readonly Shape[])[];
  readonly future: readonly (readonly Shape[])[];
  /** Changes with the same stroke are one step of undo: a drag, or an arrow key that is held. */
  readonly stroke: string | null;
  /** Counts the shapes that were added, for their ids. */
  readonly added: number;
}

export type Command =
  | { readonly do: "select"; readonly id: string | null; readonly point?: number | null }
  | { readonly do: "next"; readonly by: 1 | -1 }
  | { readonly do: "add"; readonly label: string; readonly form: Form }
  | { readonly do: "move"; readonly by: Point; readonly stroke?: string }
  | { readonly do: "resize"; readonly handle: Handle; readonly by: Point; readonly stroke?: string }
  | { readonly do: "place"; readonly id: string; readonly form: Form; readonly stroke: string }
  | { readonly do: "insert-point"; readonly after: number }
  | { readonly do: "relabel"; readonly label: string }
  | { readonly do: "remove" }
  | { readonly do: "clear" }
  | { readonly do: "undo" }
  | { readonly do: "redo" }
  | { readonly do: "load"; readonly size: Size; readonly shapes: readonly Shape[] };

const MOST_UNDO = 200;

export function start(size: Size, shapes: readonly Shape[] = []): Editor {
  return {
    size,
    shapes: shapes.map((shape) => ({ ...shape, form: formInside(shape.form, size) })),
    selected: null,
    point: null,
    past: [],
    future: [],
    stroke: null,
    added: 0,
  };
}

export function selectedShape(editor: Editor): Shape | undefined {
  return editor.shapes.find(({ id }) => id === editor.selected);
}

/** Whether a person has changed something that undo would take back. */
export function isChanged(editor: Editor): boolean {
  return editor.past.length > 0;
}

export function apply(editor: Editor, command: Command): Editor {
  switch (command.do) {
    case "load":
      return start(command.size, command.shapes);
    case "select":
      return select(editor, command.id, command.point ?? null);
    case "next":
      return selectNext(editor, command.by);
    case "add":
      return add(editor, command.label, command.form);
    case "place":
      return change(editor, command.id, { form: command.form }, command.stroke);
    case "move":
      return changeSelected(editor, (shape) => ({ form: moved(shape.form, command.by, editor) }), command.stroke);
    case "resize":
      return resize(editor, command.handle, command.by, command.stroke);
    case "insert-point":
      return insertPoint(editor, command.after);
    case "relabel":
      return changeSelected(editor, () => ({ label: command.label }));
    case "remove":
      return remove(editor);
    case "clear":
      return editor.shapes.length ? changed(editor, [], null) : editor;
    case "undo":
      return undo(editor);
    case "redo":
      return redo(editor);
  }
}

function select(editor: Editor, id: string | null, point: number | null): Editor {
  const shape = editor.shapes.find((each) => each.id === id);
  const points = shape?.form.kind === "polygon" ? shape.form.points.length : 0;
  const known = point !== null && point >= 0 && point < points ? point : null;
  return { ...editor, selected: shape ? shape.id : null, point: known, stroke: null };
}

function selectNext(editor: Editor, by: 1 | -1): Editor {
  const { shapes } = editor;
  if (!shapes.length) return editor;
  const now = shapes.findIndex(({ id }) => id === editor.selected);
  const next = now < 0 ? (by > 0 ? 0 : shapes.length - 1) : (now + by + shapes.length) % shapes.length;
  return select(editor, shapes[next]?.id ?? null, null);
}

function add(editor: Editor, label: string, form: Form): Editor {
  const id = `new-${editor.added + 1}`;
  const shape = { id, label, form: formInside(form, editor.size) };
  const next = changed(editor, [...editor.shapes, shape], null);
  return { ...next, selected: id, point: null, added: editor.added + 1 };
}

/** A change of the shape by a person: the model's score no longer describes it. */
function change(editor: Editor, id: string, fields: Partial<Pick<Shape, "form" | "label">>, stroke?: string): Editor {
  const shape = editor.shapes.find((each) => each.id === id);
  if (!shape) return editor;
  const form = fields.form ? formInside(fields.form, editor.size) : shape.form;
  const label = fields.label ?? shape.label;
  if (label === shape.label && sameForm(form, shape.form)) return editor;
  const next = { id, label, form };
  const shapes = editor.shapes.map((each) => (each.id === id ? next : each));
  return changed(editor, shapes, stroke ?? null);
}

function changeSelected(
  editor: Editor,
  fields: (shape: Shape) => Partial<Pick<Shape, "form" | "label">>,
  stroke?: string,
): Editor {
  const shape = selectedShape(editor);
  return shape ? change(editor, shape.id, fields(shape), stroke) : editor;
}

function resize(editor: Editor, handle: Handle, by: Point, stroke?: string): Editor {
  return changeSelected(
    editor,
    ({ form }) =>
      form.kind === "box" ? { form: { kind: "box", box: resizeBox(form.box, handle, by, editor.size) } } : {},
    stroke,
  );
}

function moved(form: Form, by: Point, { size, point }: Editor): Form {
  if (form.kind === "box") return { kind: "box", box: moveBox(form.box, by, size) };
  if (point === null) return { kind: "polygon", points: movePolygon(form.points, by, size) };
  return {
    kind: "polygon",
    points: form.points.map((each, index) =>
      index === point ? pointInside([each[0] + by[0], each[1] + by[1]], size) : each,
    ),
  };
}

/** Add a point in the middle of the edge that follows a point, and select it. */
function insertPoint(editor: Editor, after: number): Editor {
  const form = selectedShape(editor)?.form;
  if (form?.kind !== "polygon" || form.points.length >= MOST_POINTS) return editor;
  const [one, other] = [form.points[after], form.points[(after + 1) % form.points.length]];
  if (!one || !other) return editor;
  const middle: Point = [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
  const points = [...form.points.slice(0, after + 1), middle, ...form.points.slice(after + 1)];
  return { ...changeSelected(editor, () => ({ form: { kind: "polygon", points } })), point: after + 1 };
}

/** Remove the selected point, if the polygon keeps enough of them; else the selected shape. */
function remove(editor: Editor): Editor {
  const shape = selectedShape(editor);
  if (!shape) return editor;
  const { form } = shape;
  if (form.kind === "polygon" && editor.point !== null && form.points.length > FEWEST_POINTS) {
    const points = form.points.filter((_, index) => index !== editor.point);
    const next = changeSelected(editor, () => ({ form: { kind: "polygon", points } }));
    return { ...next, point: Math.min(editor.point, points.length - 1) };
  }
  return changed(
    editor,
    editor.shapes.filter(({ id }) => id !== shape.id),
    null,
  );
}

/** The state after a change; the state before it can be had back, unless both belong to one stroke. */
function changed(editor: Editor, shapes: readonly Shape[], stroke: string | null): Editor {
  const sameStroke = stroke !== null && stroke === editor.stroke;
  const past = sameStroke ? editor.past : [...editor.past, editor.shapes].slice(-MOST_UNDO);
  return withShapes({ ...editor, past, future: [], stroke }, shapes);
}

function withShapes(editor: Editor, shapes: readonly Shape[]): Editor {
  const form = shapes.find(({ id }) => id === editor.selected)?.form;
  const selected = form ? editor.selected : null;
  const points = form?.kind === "polygon" ? form.points.length : 0;
  const point = editor.point !== null && editor.point < points ? editor.point : null;
  return { ...editor, shapes, selected, point };
}

function undo(editor: Editor): Editor {
  const before = editor.past.at(-1);
  if (!before) return editor;
  const past = editor.past.slice(0, -1);
  return withShapes({ ...editor, past, future: [editor.shapes, ...editor.future], stroke: null }, before);
}

function redo(editor: Editor): Editor {
  const after = editor.future[0];
  if (!after) return editor;
  const past = [...editor.past, editor.shapes];
  return withShapes({ ...editor, past, future: editor.future.slice(1), stroke: null }, after);
}

function formInside(form: Form, size: Size): Form {
  if (form.kind === "box") return { kind: "box", box: boxInside(form.box, size) };
  return { kind: "polygon", points: form.points.map((point) => pointInside(point, size)) };
}

function sameForm(one: Form, other: Form): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
