/** Pointers on the stage: what a press takes hold of, and what its moves do. One pointer acts, two zoom and pan. */

import { useRef, useState } from "preact/hooks";
import {
  areaOf,
  boxBetween,
  contains,
  type Handle,
  moveBox,
  movePolygon,
  type Point,
  pointInside,
  resizeBox,
  type Size,
} from "./geometry";
import { type Command, type Editor, type Form, type Shape, selectedShape } from "./model";
import { pan, toPicture, toScreen, type View, zoomAt } from "./viewport";

export interface Surface {
  readonly view: View;
  readonly stage: Size;
  readonly editor: Editor;
  readonly draws: "box" | "polygon";
  readonly drawing: boolean;
  readonly readOnly: boolean;
  readonly holdsSpace: () => boolean;
  readonly setView: (view: View) => void;
  readonly send: (command: Command) => void;
  /** A person has drawn a form. */
  readonly drawn: (form: Form) => void;
}

/** What is being drawn, in pixels of the picture. `to` is where the pointer is. */
export interface Draft {
  readonly points: readonly Point[];
  readonly to: Point;
}

type Hold =
  | { readonly kind: "pan"; readonly from: Point; readonly view: View; readonly deselects: boolean; moved: boolean }
  | { readonly kind: "draw"; readonly from: Point }
  | { readonly kind: "point" }
  | {
      readonly kind: "form";
      readonly id: string;
      readonly from: Point;
      readonly stroke: string;
      readonly formAt: (by: Point) => Form;
      moved: boolean;
    }
  | { readonly kind: "pinch"; center: Point; distance: number };

/** Screen pixels that a press may shake before it is a drag. */
const SHAKE = 4;
/** Screen pixels beside a box within which a press still means it. */
const REACH = 5;
/** Screen pixels around the first point within which a click closes a polygon. */
const CLOSES = 12;

export function useGestures(surface: Surface) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const hold = useRef<Hold | null>(null);
  const pointers = useRef(new Map<number, Point>());
  const strokes = useRef(0);
  const latest = useRef(surface);
  latest.current = surface;

  function onPointerDown(event: PointerEvent) {
    if (event.button > 1) return;
    const stage = event.currentTarget as HTMLElement;
    stage.setPointerCapture(event.pointerId);
    const at = place(event, stage);
    pointers.current.set(event.pointerId, at);
    if (pointers.current.size === 2) {
      setDraft((now) => (latest.current.draws === "polygon" ? now : null));
      hold.current = { kind: "pinch", ...spread(pointers.current) };
    } else if (pointers.current.size === 1) {
      strokes.current += 1;
      hold.current = take(event, at, `drag ${strokes.current}`, latest.current);
      if (hold.current.kind === "draw") setDraft({ points: [hold.current.from], to: hold.current.from });
      if (hold.current.kind === "point") addPoint(at);
    }
  }

  function onPointerMove(event: PointerEvent) {
    const at = place(event, event.currentTarget as HTMLElement);
    const { view, editor } = latest.current;
    if (pointers.current.has(event.pointerId)) pointers.current.set(event.pointerId, at);
    const held = hold.current;
    if (held?.kind === "pinch") pinch(held);
    else if (held?.kind === "pan") panTo(held, at);
    else if (held?.kind === "form") drag(held, at);
    else setDraft((now) => now && { ...now, to: pointInside(toPicture(view, at), editor.size) });
  }

  function onPointerUp(event: PointerEvent) {
    const held = hold.current;
    pointers.current.delete(event.pointerId);
    if (pointers.current.size === 0) hold.current = null;
    if (held?.kind === "pan" && held.deselects && !held.moved) latest.current.send({ do: "select", id: null });
    if (held?.kind === "draw") finishBox(held.from, place(event, event.currentTarget as HTMLElement));
  }

  /** The browser took the pointer away, for a scroll or a call: nothing is drawn. */
  function onPointerCancel(event: PointerEvent) {
    pointers.current.delete(event.pointerId);
    hold.current = null;
    if (latest.current.draws === "box") setDraft(null);
  }

  function onWheel(event: WheelEvent) {
    event.preventDefault();
    const { view, stage, editor, setView } = latest.current;
    const at = place(event, event.currentTarget as HTMLElement);
    // A wheel counts in lines in some browsers; a pinch on a touchpad arrives as small steps with Ctrl.
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    setView(zoomAt(view, Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0015)), at, stage, editor.size));
  }

  function pinch(held: Extract<Hold, { kind: "pinch" }>) {
    if (pointers.current.size < 2) return;
    const { view, stage, editor, setView } = latest.current;
    const { center, distance } = spread(pointers.current);
    const zoomed = zoomAt(view, distance / held.distance, held.center, stage, editor.size);
    setView(pan(zoomed, minus(center, held.center), stage, editor.size));
    Object.assign(held, { center, distance });
  }

  function panTo(held: Extract<Hold, { kind: "pan" }>, at: Point) {
    const by = minus(at, held.from);
    held.moved ||= Math.hypot(...by) > SHAKE;
    const { stage, editor, setView } = latest.current;
    if (held.moved) setView(pan(held.view, by, stage, editor.size));
  }

  function drag(held: Extract<Hold, { kind: "form" }>, at: Point) {
    const { view, send } = latest.current;
    const by = minus(at, held.from);
    held.moved ||= Math.hypot(...by) > SHAKE;
    if (!held.moved) return;
    const form = held.formAt([by[0] / view.scale, by[1] / view.scale]);
    send({ do: "place", id: held.id, form, stroke: held.stroke });
  }

  function finishBox(from: Point, at: Point) {
    const { view, editor, drawn } = latest.current;
    setDraft(null);
    if (Math.hypot(...minus(toScreen(view, from), at)) <= SHAKE) return;
    drawn({ kind: "box", box: boxBetween(from, toPicture(view, at), editor.size) });
  }

  function addPoint(at: Point) {
    const { view, editor } = latest.current;
    const next = pointInside(toPicture(view, at), editor.size);
    const points = draft?.points ?? [];
    const first = points[0];
    const closes =
      first !== undefined && points.length > 2 && Math.hypot(...minus(toScreen(view, first), at)) <= CLOSES;
    if (closes) finishPolygon();
    else setDraft({ points: [...points, next], to: next });
  }

  /** Close the polygon that is being drawn. Returns whether there was one with enough points. */
  function finishPolygon(): boolean {
    if (!draft || draft.points.length < 3) return false;
    latest.current.drawn({ kind: "polygon", points: draft.points });
    setDraft(null);
    return true;
  }

  /** Give up what is being drawn. Returns whether there was something. */
  function cancelDraft(): boolean {
    setDraft(null);
    return draft !== null;
  }

  const handlers = { onPointerDown, onPointerMove, onPointerUp, onPointerCancel };
  return { draft, finishPolygon, cancelDraft, onWheel, handlers };
}

/** What a press takes hold of. The elements say what they are by their `data` attributes. */
function take(event: PointerEvent, at: Point, stroke: string, surface: Surface): Hold {
  const { view, editor, drawing, readOnly, draws, send } = surface;
  const { handle, vertex } = marks(event.target as Element);
  const pans = event.button === 1 || surface.holdsSpace();
  const held = handle || vertex !== undefined;
  const shape = held ? selectedShape(editor) : smallestAt(editor.shapes, toPicture(view, at), REACH / view.scale);
  if (pans || (!shape && !drawing)) return { kind: "pan", from: at, view, deselects: !pans, moved: false };
  if (drawing && !held) {
    return draws === "polygon"
      ? { kind: "point" }
      : { kind: "draw", from: pointInside(toPicture(view, at), editor.size) };
  }
  if (!shape) return { kind: "pan", from: at, view, deselects: true, moved: false };
  send({ do: "select", id: shape.id, point: vertex ?? null });
  if (readOnly) return { kind: "pan", from: at, view, deselects: false, moved: false };
  const formAt = (by: Point) => dragged(shape.form, handle, vertex, by, editor.size);
  return { kind: "form", id: shape.id, from: at, stroke, formAt, moved: false };
}

function dragged(form: Form, handle: Handle | undefined, vertex: number | undefined, by: Point, size: Size): Form {
  if (form.kind === "box") {
    return { kind: "box", box: handle ? resizeBox(form.box, handle, by, size) : moveBox(form.box, by, size) };
  }
  if (vertex === undefined) return { kind: "polygon", points: movePolygon(form.points, by, size) };
  const points = form.points.map(
    (each, index): Point => (index === vertex ? [each[0] + by[0], each[1] + by[1]] : each),
  );
  return { kind: "polygon", points };
}

function marks(target: Element): { handle: Handle | undefined; vertex: number | undefined } {
  const { handle, vertex } = target.closest<SVGElement>(".grip")?.dataset ?? {};
  return { handle: handle as Handle | undefined, vertex: vertex === undefined ? undefined : Number(vertex) };
}

/** The smallest shape at a point: a large box must not hide a small one inside it. */
function smallestAt(shapes: readonly Shape[], at: Point, reach: number): Shape | undefined {
  const sizes = shapes
    .filter(({ form }) => isAt(form, at, reach))
    .map((shape) => ({ shape, size: sizeOf(shape.form) }));
  return sizes.sort((one, other) => one.size - other.size)[0]?.shape;
}

function isAt(form: Form, at: Point, reach: number): boolean {
  if (form.kind === "polygon") return contains(form.points, at);
  const [x1, y1, x2, y2] = form.box;
  return at[0] >= x1 - reach && at[0] <= x2 + reach && at[1] >= y1 - reach && at[1] <= y2 + reach;
}

function sizeOf(form: Form): number {
  if (form.kind === "polygon") return Math.abs(areaOf(form.points));
  const [x1, y1, x2, y2] = form.box;
  return (x2 - x1) * (y2 - y1);
}

function place(event: MouseEvent, stage: HTMLElement): Point {
  const { left, top } = stage.getBoundingClientRect();
  return [event.clientX - left - stage.clientLeft, event.clientY - top - stage.clientTop];
}

function minus([ax, ay]: Point, [bx, by]: Point): Point {
  return [ax - bx, ay - by];
}

function spread(pointers: ReadonlyMap<number, Point>): { center: Point; distance: number } {
  const [one = [0, 0], other = [0, 0]] = [...pointers.values()] as Point[];
  const center: Point = [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
  return { center, distance: Math.max(1, Math.hypot(...minus(one, other))) };
}
