/** What the keys mean in a picture editor. The pages' own keys (accept, skip) are letters that are free here. */

import type { Point } from "./geometry";
import type { Command, Editor } from "./model";

export interface Press {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

/** Moves of the view, and what needs the view or the page. */
export type ViewAction =
  | { readonly act: "zoom"; readonly factor: 1 | -1 }
  | { readonly act: "fit" }
  | { readonly act: "pan"; readonly by: Point }
  | { readonly act: "draw" }
  | { readonly act: "add" }
  | { readonly act: "ask-label" };

export type Action = Command | ViewAction;

export interface Conditions {
  readonly labels: readonly string[];
  readonly readOnly: boolean;
}

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const FAR = 10;
const PAN_STEP = 60;

/** What a key does; null if it is not the editor's. */
export function actionOf(press: Press, editor: Editor, conditions: Conditions): Action | null {
  const arrow = ARROWS[press.key];
  if (arrow) return arrowAction(press, arrow, editor, conditions);
  const command = press.ctrlKey || press.metaKey;
  if (command) return conditions.readOnly || press.altKey ? null : history(press);
  if (press.altKey) return null;
  return (
    viewKey(press) ?? selectionKey(press, editor) ?? (conditions.readOnly ? null : editKey(press, editor, conditions))
  );
}

function arrowAction(press: Press, [x, y]: Point, editor: Editor, { readOnly }: Conditions): Action | null {
  if (editor.selected === null || readOnly) return { act: "pan", by: [0 - x * PAN_STEP, 0 - y * PAN_STEP] };
  const step = press.shiftKey ? FAR : 1;
  const by: Point = [x * step, y * step];
  // The right and bottom edges follow Ctrl, the left and top ones Alt, so that the keyboard reaches all four.
  if (press.ctrlKey || press.metaKey) return { do: "resize", handle: "se", by, stroke: `grow ${editor.selected}` };
  if (press.altKey) return { do: "resize", handle: "nw", by, stroke: `shrink ${editor.selected}` };
  return { do: "move", by, stroke: `move ${editor.selected} ${editor.point ?? ""}` };
}

function history({ key, shiftKey }: Press): Command | null {
  const letter = key.toLowerCase();
  if (letter === "z") return { do: shiftKey ? "redo" : "undo" };
  return letter === "y" ? { do: "redo" } : null;
}

function viewKey({ key }: Press): ViewAction | null {
  if (key === "+" || key === "=") return { act: "zoom", factor: 1 };
  if (key === "-" || key === "_") return { act: "zoom", factor: -1 };
  return key === "0" ? { act: "fit" } : null;
}

function selectionKey({ key }: Press, editor: Editor): Command | null {
  if (key === "]") return { do: "next", by: 1 };
  if (key === "[") return { do: "next", by: -1 };
  return key === "Escape" && editor.selected !== null ? { do: "select", id: null } : null;
}

function editKey({ key }: Press, editor: Editor, { labels }: Conditions): Action | null {
  const letter = key.toLowerCase();
  if (letter === "n") return { act: "add" };
  if (letter === "b") return { act: "draw" };
  if (editor.selected === null) return null;
  if (letter === "l") return { act: "ask-label" };
  if (letter === "i" && editor.point !== null) return { do: "insert-point", after: editor.point };
  if (key === "Delete" || key === "Backspace") return { do: "remove" };
  const label = /^[1-9]$/.test(key) ? labels[Number(key) - 1] : undefined;
  return label === undefined ? null : { do: "relabel", label };
}
