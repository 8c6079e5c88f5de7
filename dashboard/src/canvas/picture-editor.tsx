/** A picture with shapes that a person looks at or changes, by pointer, touch or keyboard alone. */

import "./canvas.css";
import type { JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { HeatMap } from "../components/heat-map";
import type { Editing } from "./editing";
import { around, type Point, type Size, tenth } from "./geometry";
import { useGestures } from "./gestures";
import { type Action, actionOf } from "./keys";
import { type Command, type Form, selectedShape } from "./model";
import { DraftOutline, type Layer, Layers, type Look, Shapes, Tags } from "./shapes";
import { Toolbar } from "./toolbar";
import { middle, pan, reveal, type View, whole, ZOOM_STEP, zoomAt } from "./viewport";
import { words } from "./words";

interface PictureEditorProps extends Look {
  readonly editing: Editing;
  /** Null while there is no picture that the browser can show. */
  readonly picture: string | null;
  /** A smaller picture to show until the picture is here. */
  readonly preview?: string | null;
  /** The link of a heat map to draw over the picture. */
  readonly heatMap?: string | null | undefined;
  readonly title: string;
  readonly labels: readonly string[];
  /** The label of the next shape. */
  readonly newLabel: string;
  readonly draws?: "box" | "polygon";
  readonly readOnly?: boolean;
  readonly layers?: readonly Layer[];
  /** Asks for the selected shape's label. */
  readonly onAskLabel?: () => void;
  readonly onPictureError?: () => void;
}

/** The share of what is in sight that a shape added by a key takes on each side. */
const NEW_SHARE = 0.2;
/** From this scale on each pixel of the picture shows as a square. */
const PIXELS_FROM = 4;

export function PictureEditor(props: PictureEditorProps): JSX.Element {
  const { editing, labels, draws = "box", readOnly = false, layers = [], name, tone } = props;
  const { editor } = editing;
  const root = useRef<HTMLDivElement>(null);
  const { stage, view, setView, showWhole } = useView(root, editor.size);
  const [drawing, setDrawing] = useState(false);
  const space = useRef(false);
  const focuses = useFocus(root, editor.selected, editor.point);
  const help = useId();

  /** A command from the picture itself: the focus follows the selection. */
  function send(command: Command) {
    focuses.follow();
    editing.send(command);
  }

  function drawn(form: Form) {
    setDrawing(false);
    send({ do: "add", label: props.newLabel, form });
  }

  const surface = { view, stage, editor, draws, drawing: drawing && !readOnly, readOnly, setView, send, drawn };
  const gestures = useGestures({ ...surface, holdsSpace: () => space.current });
  useWheel(root, gestures.onWheel);
  useReveal(editing, stage, view, setView);

  function zoom(factor: 1 | -1) {
    setView(zoomAt(view, ZOOM_STEP ** factor, [stage.width / 2, stage.height / 2], stage, editor.size));
  }

  function act(action: Action) {
    if ("do" in action) send(action);
    else if (action.act === "zoom") zoom(action.factor);
    else if (action.act === "fit") showWhole();
    else if (action.act === "pan") setView(pan(view, action.by, stage, editor.size));
    else if (action.act === "draw") setDrawing(!drawing);
    else if (action.act === "add") drawn(formInMiddle(draws, view, stage, editor.size));
    else props.onAskLabel?.();
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === " ") {
      space.current = true;
      event.preventDefault();
      return;
    }
    const drafted =
      (event.key === "Escape" && gestures.cancelDraft()) || (event.key === "Enter" && gestures.finishPolygon());
    const action = drafted ? null : actionOf(event, editor, { labels, readOnly });
    const stopped = event.key === "Escape" && drawing && !drafted;
    if (stopped) setDrawing(false);
    else if (action) act(action);
    if (drafted || stopped || action) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  return (
    <div class="picture-editor">
      <div
        ref={root}
        class="canvas-stage"
        role="application"
        aria-label={props.title}
        aria-describedby={help}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: an application is interactive.
        tabIndex={0}
        data-drawing={surface.drawing}
        onKeyDown={onKeyDown}
        onKeyUp={(event) => {
          if (event.key === " ") space.current = false;
        }}
        onBlur={() => {
          space.current = false;
        }}
        {...gestures.handlers}
      >
        <Picture {...props} view={view} size={editor.size} />
        <svg class="canvas-drawing" width={stage.width} height={stage.height}>
          <title>{props.title}</title>
          <Layers layers={layers} view={view} name={name} />
          <Shapes
            editor={editor}
            view={view}
            readOnly={readOnly}
            name={name}
            tone={tone}
            onFocus={(id, point) => {
              if (id !== editor.selected || point !== editor.point) editing.send({ do: "select", id, point });
            }}
          />
          {gestures.draft && <DraftOutline draft={gestures.draft} draws={draws} view={view} />}
        </svg>
        <Tags editor={editor} view={view} name={name} tone={tone} />
      </div>
      <Toolbar
        editor={editor}
        readOnly={readOnly}
        draws={draws}
        drawing={drawing}
        scale={view.scale}
        act={act}
        label={selectedShape(editor)?.label}
        name={name}
      />
      <p id={help} class="visually-hidden">
        {helpText(draws, readOnly)}
      </p>
      <p class="visually-hidden" aria-live="polite">
        {editing.said}
      </p>
    </div>
  );
}

function helpText(draws: "box" | "polygon", readOnly: boolean): string {
  if (readOnly) return words.help.look;
  return `${words.help.look} ${draws === "box" ? words.help.boxes : words.help.polygons}`;
}

/** The picture itself. The preview lies below it, and is seen until the picture is here. */
function Picture({
  picture,
  preview,
  heatMap,
  view,
  size,
  onPictureError,
}: PictureEditorProps & { view: View; size: Size }): JSX.Element {
  const place = {
    width: `${size.width}px`,
    height: `${size.height}px`,
    transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})`,
  };
  return (
    <div class="canvas-picture" style={place} data-pixels={view.scale >= PIXELS_FROM}>
      {preview && <img src={preview} alt="" draggable={false} />}
      {picture && <img key={picture} src={picture} alt="" draggable={false} onError={onPictureError} />}
      {heatMap && <HeatMap key={heatMap} link={heatMap} {...size} />}
    </div>
  );
}

/** What is in sight: the whole picture at first and while the stage changes its size, until a person zooms or moves it. */
function useView(root: { current: HTMLDivElement | null }, picture: Size) {
  const [stage, setStage] = useState<Size>({ width: 1, height: 1 });
  const [chosen, setChosen] = useState<{ view: View; of: Size } | null>(null);
  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    const measure = () => setStage({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [root]);
  const view = chosen && chosen.of === picture ? chosen.view : whole(stage, picture);
  return {
    stage,
    view,
    setView: (next: View) => setChosen({ view: next, of: picture }),
    showWhole: () => setChosen(null),
  };
}

/** Moves the focus to the shape that a command from the picture has selected, or to the picture if there is none. */
function useFocus(root: { current: HTMLDivElement | null }, selected: string | null, point: number | null) {
  const wanted = useRef(false);
  // Not useEffect: that of the render before may run only now, and would take the wish for the old selection.
  useLayoutEffect(() => {
    if (!wanted.current || !root.current) return;
    wanted.current = false;
    const vertex = point === null ? ":not([data-vertex])" : `[data-vertex="${point}"]`;
    const found =
      selected &&
      root.current.querySelector<SVGElement>(`[role="button"][data-shape="${CSS.escape(selected)}"]${vertex}`);
    (found || root.current).focus({ preventScroll: true });
  });
  return {
    follow: () => {
      wanted.current = true;
    },
  };
}

/** Preact binds a wheel listener that may not stop the page's scrolling; this one may. */
function useWheel(root: { current: HTMLDivElement | null }, onWheel: (event: WheelEvent) => void): void {
  const latest = useRef(onWheel);
  latest.current = onWheel;
  useEffect(() => {
    const element = root.current;
    const listen = (event: WheelEvent) => latest.current(event);
    element?.addEventListener("wheel", listen, { passive: false });
    return () => element?.removeEventListener("wheel", listen);
  }, [root]);
}

/** Brings a shape that is selected by a key or in the list into sight. */
function useReveal(editing: Editing, stage: Size, view: View, setView: (view: View) => void): void {
  const { selected } = editing.editor;
  useEffect(() => {
    const shape = selectedShape(editing.editor);
    if (!shape) return;
    const next = reveal(view, shape.form.kind === "box" ? shape.form.box : around(shape.form.points), stage);
    if (next.x !== view.x || next.y !== view.y) setView(next);
  }, [selected]);
}

function formInMiddle(draws: "box" | "polygon", view: View, stage: Size, picture: Size): Form {
  const [x, y] = middle(view, stage, picture);
  const side = (onStage: number, ofPicture: number) => Math.min(onStage / view.scale, ofPicture) * NEW_SHARE;
  const [width, height] = [side(stage.width, picture.width), side(stage.height, picture.height)];
  const half = Math.max(Math.min(width, height), 4) / 2;
  const [x1, y1, x2, y2] = [tenth(x - half), tenth(y - half), tenth(x + half), tenth(y + half)];
  if (draws === "box") return { kind: "box", box: [x1, y1, x2, y2] };
  const points: Point[] = [
    [x1, y1],
    [x2, y1],
    [x2, y2],
    [x1, y2],
  ];
  return { kind: "polygon", points };
}
