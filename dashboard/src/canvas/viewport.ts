/** Which part of the picture is on the screen, and how large. */

import { type Box, clamp, type Point, type Size } from "./geometry";

export interface View {
  /** Screen pixels for each pixel of the picture. */
  readonly scale: number;
  /** Where the picture's left top corner is, in screen pixels from the stage's. */
  readonly x: number;
  readonly y: number;
}

export const ZOOM_STEP = 1.25;
const MOST_SCALE = 64;
/** Screen pixels of the picture that remain in sight, however far it is dragged. */
const REMAINS = 48;
const MARGIN = 12;

/** The whole picture, in the middle of the stage. */
export function whole(stage: Size, picture: Size): View {
  const width = Math.max(1, stage.width - 2 * MARGIN);
  const height = Math.max(1, stage.height - 2 * MARGIN);
  const scale = clamp(Math.min(width / picture.width, height / picture.height), 1e-4, MOST_SCALE);
  return { scale, x: (stage.width - picture.width * scale) / 2, y: (stage.height - picture.height * scale) / 2 };
}

/** Zoom by a factor; the picture's point under a point of the screen stays under it. */
export function zoomAt(view: View, factor: number, [x, y]: Point, stage: Size, picture: Size): View {
  const least = whole(stage, picture).scale;
  const scale = clamp(view.scale * factor, Math.min(least, 1) / 2, Math.max(MOST_SCALE, least));
  const grown = scale / view.scale;
  return inSight({ scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown }, stage, picture);
}

export function pan(view: View, [dx, dy]: Point, stage: Size, picture: Size): View {
  return inSight({ ...view, x: view.x + dx, y: view.y + dy }, stage, picture);
}

/** The view changed as little as shows a part of the picture. */
function inSight(view: View, stage: Size, picture: Size): View {
  const [width, height] = [picture.width * view.scale, picture.height * view.scale];
  const [keepX, keepY] = [Math.min(REMAINS, width, stage.width), Math.min(REMAINS, height, stage.height)];
  return {
    scale: view.scale,
    x: clamp(view.x, keepX - width, stage.width - keepX),
    y: clamp(view.y, keepY - height, stage.height - keepY),
  };
}

/** The view with a box in the middle of the screen, if its middle is off the screen; the scale stays. */
export function reveal(view: View, [x1, y1, x2, y2]: Box, stage: Size): View {
  const [x, y] = toScreen(view, [(x1 + x2) / 2, (y1 + y2) / 2]);
  const dx = x < 0 || x > stage.width ? stage.width / 2 - x : 0;
  const dy = y < 0 || y > stage.height ? stage.height / 2 - y : 0;
  return { scale: view.scale, x: view.x + dx, y: view.y + dy };
}

export function toPicture(view: View, [x, y]: Point): Point {
  return [(x - view.x) / view.scale, (y - view.y) / view.scale];
}

export function toScreen(view: View, [x, y]: Point): Point {
  return [x * view.scale + view.x, y * view.scale + view.y];
}

/** The picture's point in the middle of what is on the screen. */
export function middle(view: View, stage: Size, picture: Size): Point {
  const [left, top] = toPicture(view, [0, 0]);
  const [right, bottom] = toPicture(view, [stage.width, stage.height]);
  return [
    (Math.max(0, left) + Math.min(picture.width, right)) / 2,
    (Math.max(0, top) + Math.min(picture.height, bottom)) / 2,
  ];
}
