/** What a screen reader says about shapes and changes. */

import { around, type Point } from "./geometry";
import { type Command, type Editor, type Shape, selectedShape } from "./model";
import { words } from "./words";

type Name = (label: string) => string;

/** A shape in words: what it is, how sure the model was, how large, and where. */
export function describe(shape: Shape, { shapes }: Pick<Editor, "shapes">, name: Name): string {
  const sure = shape.score === undefined ? [] : [words.spoken.percent(shape.score, shape.mark === "doubtful")];
  const place = words.spoken.place(shapes.indexOf(shape) + 1, shapes.length);
  return [name(shape.label), ...sure, whereabouts(shape), place].join(", ");
}

export function describePoint(points: readonly Point[], index: number): string {
  const [x, y] = points[index] ?? [0, 0];
  return words.spoken.point(index + 1, points.length, Math.round(x), Math.round(y));
}

function whereabouts({ form }: Shape): string {
  const [x1, y1, x2, y2] = form.kind === "box" ? form.box : around(form.points);
  const extent = words.spoken.extent(Math.round(x2 - x1), Math.round(y2 - y1), Math.round(x1), Math.round(y1));
  return form.kind === "box" ? extent : `${words.spoken.points(form.points.length)}, ${extent}`;
}

/** What a command has changed, as a sentence for the live region; empty if the focus says it already. */
export function announce(command: Command, before: Editor, after: Editor, name: Name): string {
  const shape = selectedShape(after);
  const left = words.spoken.left(after.shapes.length);
  switch (command.do) {
    case "load":
    case "select":
    case "next":
      return "";
    case "undo":
      return before === after ? words.spoken.nothing.undo : `${words.spoken.undone}: ${left}`;
    case "redo":
      return before === after ? words.spoken.nothing.redo : `${words.spoken.redone}: ${left}`;
    case "clear":
      return words.spoken.cleared;
    case "remove":
      return before === after ? "" : `${words.spoken.removed}: ${left}`;
    case "add":
      return shape ? `${words.spoken.added}: ${describe(shape, after, name)}` : "";
    case "relabel":
      return shape ? words.spoken.relabelled(name(shape.label)) : "";
    default:
      return before === after ? words.spoken.edge : moved(after, shape);
  }
}

function moved({ point }: Editor, shape: Shape | undefined): string {
  if (!shape) return "";
  if (point !== null && shape.form.kind === "polygon") return describePoint(shape.form.points, point);
  return whereabouts(shape);
}
