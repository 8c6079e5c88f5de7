// A heat map in the colours of contract/heat_map.py, which draws those of alerts and of evaluations.
import type { Size } from "../canvas/geometry";

/** Grey values, row by row: 0 is as good parts are, 255 is hot. */
export interface HeatMap extends Size {
  readonly values: ArrayLike<number>;
}

/** Up to this value nothing is drawn. */
export const COLD = 64;
/** How opaque the colour is, of 255, just above COLD and at 255. */
export const OPACITY = [40, 170] as const;
/** Red, green and blue at equal steps from COLD to 255. */
export const COLOURS = [
  [255, 225, 60],
  [255, 140, 0],
  [225, 0, 25],
] as const;

/** Red, green, blue and opacity (of 255) of a value. */
export function colourOf(value: number): [number, number, number, number] {
  const share = Math.max(0, (value - COLD) / (255 - COLD));
  const place = share * (COLOURS.length - 1);
  const first = Math.min(Math.floor(place), COLOURS.length - 2);
  const [low, high] = [COLOURS[first] ?? COLOURS[0], COLOURS[first + 1] ?? COLOURS[0]];
  const between = (from: number, to: number): number => Math.round(from + (to - from) * (place - first));
  const [faint, dense] = OPACITY;
  return [
    between(low[0], high[0]),
    between(low[1], high[1]),
    between(low[2], high[2]),
    share > 0 ? Math.round(faint + (dense - faint) * share) : 0,
  ];
}

/**
 * The pixels of the map drawn `width` by `height`. The values between places are interpolated before they get their
 * colour, so that an edge is as smooth as in the picture of an alert.
 */
export function painted(map: HeatMap, width: number, height: number): Uint8ClampedArray<ArrayBuffer> {
  const colours = Array.from({ length: 256 }, (_, value) => colourOf(value));
  const pixels = new Uint8ClampedArray(4 * width * height);
  const [columns, rows] = [places(width, map.width), places(height, map.height)];
  const value = (row: number, column: number): number => map.values[row * map.width + column] ?? 0;
  rows.forEach(([top, bottom, down], y) => {
    columns.forEach(([left, right, across], x) => {
      const above = value(top, left) * (1 - across) + value(top, right) * across;
      const below = value(bottom, left) * (1 - across) + value(bottom, right) * across;
      const colour = colours[Math.round(above * (1 - down) + below * down)];
      if (colour) pixels.set(colour, 4 * (y * width + x));
    });
  });
  return pixels;
}

/** For each of `count` pixels the two places that it lies between, of `of`, and how far it is from the first. */
function places(count: number, of: number): [number, number, number][] {
  return Array.from({ length: count }, (_, pixel) => {
    const at = Math.min(Math.max(((pixel + 0.5) / count) * of - 0.5, 0), of - 1);
    const first = Math.floor(at);
    return [first, Math.min(first + 1, of - 1), at - first];
  });
}

/** The middle of the hottest place, as shares of the picture's width and height; null if nothing is hot. */
export function hottest({ values, width, height }: HeatMap): [x: number, y: number] | null {
  const at = (x: number, y: number): number =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : (values[y * width + x] ?? 0);
  let best: { heat: number; x: number; y: number } | null = null;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (at(x, y) <= COLD) continue;
      // Several places are often as hot as a map can say: then the one with the hottest places around it.
      const around = [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((across) => at(x + across, y + down)));
      const heat = at(x, y) * 10_000 + around.reduce((sum, each) => sum + each, 0);
      if (!best || heat > best.heat) best = { heat, x, y };
    }
  }
  return best && [(best.x + 0.5) / width, (best.y + 0.5) / height];
}
