/** The shapes on a picture, drawn in screen pixels, so that lines and handles stay as thick at every zoom. */

import type { JSX } from "preact";
import { around, type Box, HANDLES, type Handle, handlePoint, type Point } from "./geometry";
import type { Draft } from "./gestures";
import { type Editor, type Form, type Shape, selectedShape } from "./model";
import { describe, describePoint } from "./spoken";
import { toScreen, type View } from "./viewport";
import { words } from "./words";

/** How labels are named and shapes coloured: `tone` is a class that sets `--tone`. */
export interface Look {
  readonly name: (label: string) => string;
  readonly tone: (shape: Shape) => string;
}

/** Shapes that are only shown: another person's boxes, the rules' zones. */
export interface Layer {
  readonly id: string;
  readonly title: string;
  readonly tone: string;
  readonly shapes: readonly { readonly label: string; readonly form: Form }[];
}

interface ShapesProps extends Look {
  readonly editor: Editor;
  readonly view: View;
  readonly readOnly: boolean;
  readonly onFocus: (id: string, point: number | null) => void;
}

export function Shapes({ editor, view, readOnly, onFocus, name, tone }: ShapesProps): JSX.Element {
  const chosen = selectedShape(editor);
  return (
    <>
      {editor.shapes.map((shape) => (
        // biome-ignore lint/a11y/useSemanticElements: an HTML button cannot stand in SVG.
        <g
          key={shape.id}
          class={`shape ${tone(shape)}`}
          role="button"
          tabIndex={0}
          data-shape={shape.id}
          data-selected={shape === chosen}
          aria-pressed={shape === chosen}
          aria-label={describe(shape, editor, name)}
          onFocus={() => onFocus(shape.id, null)}
        >
          <Outline form={shape.form} view={view} />
        </g>
      ))}
      {chosen && !readOnly && (
        <g class={tone(chosen)}>
          <Grips shape={chosen} editor={editor} view={view} onFocus={onFocus} />
        </g>
      )}
    </>
  );
}

function Outline({ form, view }: { form: Form; view: View }): JSX.Element {
  if (form.kind === "polygon") {
    const points = form.points.map((point) => toScreen(view, point).join(",")).join(" ");
    return (
      <>
        <polygon class="halo" points={points} />
        <polygon class="outline" points={points} />
      </>
    );
  }
  const sides = rectangle(form.box, view);
  return (
    <>
      <rect class="halo" {...sides} />
      <rect class="outline" {...sides} />
    </>
  );
}

function rectangle([x1, y1, x2, y2]: Box, view: View) {
  const [x, y] = toScreen(view, [x1, y1]);
  return { x, y, width: (x2 - x1) * view.scale, height: (y2 - y1) * view.scale };
}

interface GripsProps {
  readonly shape: Shape;
  readonly editor: Editor;
  readonly view: View;
  readonly onFocus: (id: string, point: number | null) => void;
}

/** The handles of a box, for the pointer only, because the keyboard resizes by arrows; the points of a polygon for both. */
function Grips({ shape, editor, view, onFocus }: GripsProps): JSX.Element {
  if (shape.form.kind === "box") {
    const { box } = shape.form;
    return (
      <g>
        {HANDLES.map((handle) => (
          <Grip key={handle} at={toScreen(view, handlePoint(box, handle))} shape={shape.id} handle={handle} />
        ))}
      </g>
    );
  }
  const { points } = shape.form;
  return (
    <>
      {points.map((point, index) => (
        // biome-ignore lint/a11y/useSemanticElements: an HTML button cannot stand in SVG.
        <g
          key={index}
          role="button"
          tabIndex={0}
          data-shape={shape.id}
          data-vertex={index}
          aria-pressed={editor.point === index}
          aria-label={describePoint(points, index)}
          onFocus={() => onFocus(shape.id, index)}
        >
          <Grip at={toScreen(view, point)} shape={shape.id} vertex={index} selected={editor.point === index} />
        </g>
      ))}
    </>
  );
}

interface GripProps {
  readonly at: Point;
  readonly shape: string;
  readonly handle?: Handle;
  readonly vertex?: number;
  readonly selected?: boolean;
}

/** A visible square or dot, in an invisible larger area that a finger can hit. */
function Grip({ at: [x, y], shape, handle, vertex, selected }: GripProps): JSX.Element {
  return (
    <g
      class={`grip ${handle ?? "vertex"}`}
      data-shape={shape}
      data-handle={handle}
      data-vertex={vertex}
      data-selected={selected}
    >
      <circle class="reach" cx={x} cy={y} r={14} />
      {handle ? (
        <rect x={x - 4} y={y - 4} width={8} height={8} rx={1.5} />
      ) : (
        <circle cx={x} cy={y} r={selected ? 7 : 5} />
      )}
    </g>
  );
}

/** The names beside the shapes. They are HTML, because SVG text has no ground that fits it. */
export function Tags({ editor, view, name, tone }: Look & { editor: Editor; view: View }): JSX.Element {
  return (
    <div class="canvas-tags" aria-hidden="true">
      {editor.shapes.map((shape) => (
        <span
          key={shape.id}
          class={`canvas-tag ${tone(shape)}`}
          data-selected={shape.id === editor.selected}
          style={{ transform: tagPlace(shape.form, view) }}
        >
          {name(shape.label)}
          {shape.score !== undefined && <b>{shape.score.toFixed(2)}</b>}
        </span>
      ))}
    </div>
  );
}

/** Above the shape's left top corner, or inside it at the stage's upper edge. */
function tagPlace(form: Form, view: View): string {
  const [x1, y1] = form.kind === "box" ? form.box : around(form.points);
  const [x, y] = toScreen(view, [x1, y1]);
  const above = y >= 22;
  return `translate(${Math.max(0, Math.round(x) - 1)}px, ${Math.round(y)}px) translateY(${above ? "-100%" : "1px"})`;
}

export function Layers({
  layers,
  view,
  name,
}: {
  layers: readonly Layer[];
  view: View;
  name: Look["name"];
}): JSX.Element {
  return (
    <>
      {layers.map((layer) => (
        <g key={layer.id} class={`layer ${layer.tone}`}>
          <title>{layerTitle(layer, name)}</title>
          {layer.shapes.map(({ label, form }, index) => (
            <g key={index}>
              <title>{`${layer.title}: ${name(label)}`}</title>
              <Outline form={form} view={view} />
            </g>
          ))}
        </g>
      ))}
    </>
  );
}

function layerTitle({ title, shapes }: Layer, name: Look["name"]): string {
  return `${title}: ${shapes.map(({ label }) => name(label)).join(", ") || words.spoken.empty}`;
}

/** What is being drawn. */
export function DraftOutline({
  draft,
  draws,
  view,
}: {
  draft: Draft;
  draws: "box" | "polygon";
  view: View;
}): JSX.Element {
  if (draws === "box") {
    const [from = draft.to] = draft.points;
    const box: Box = [
      Math.min(from[0], draft.to[0]),
      Math.min(from[1], draft.to[1]),
      Math.max(from[0], draft.to[0]),
      Math.max(from[1], draft.to[1]),
    ];
    return <rect class="draft" {...rectangle(box, view)} />;
  }
  const points = [...draft.points, draft.to].map((point) => toScreen(view, point));
  return (
    <g class="draft">
      <polyline points={points.map((point) => point.join(",")).join(" ")} />
      {points.slice(0, -1).map(([x, y], index) => (
        <circle key={index} cx={x} cy={y} r={index === 0 ? 7 : 4} />
      ))}
    </g>
  );
}
