import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { COLD, COLOURS, colourOf, hottest, OPACITY, painted } from "./heat-map";

const map = (width: number, ...values: number[]) => ({ width, height: values.length / width, values });

test("the colours are those of the pictures that alerts show", () => {
  const contract = readFileSync("../contract/heat_map.py", "utf8");
  const numbers = (name: string): number[] =>
    (new RegExp(`^${name} = (.*)$`, "m").exec(contract)?.[1]?.match(/\d+/g) ?? []).map(Number);
  expect(numbers("COLD")).toEqual([COLD]);
  expect(numbers("FAINT, DENSE")).toEqual([...OPACITY]);
  expect(numbers("COLOURS")).toEqual(COLOURS.flat());
  // The examples of its docstring.
  expect([colourOf(64), colourOf(255)]).toEqual([
    [255, 225, 60, 0],
    [225, 0, 25, 170],
  ]);
});

test("the hotter a place is, the denser it is drawn, and a cold one is not drawn at all", () => {
  const opacity = Array.from({ length: 256 }, (_, value) => colourOf(value)[3]);
  expect(Math.max(...opacity.slice(0, COLD + 1))).toBe(0);
  expect(opacity.slice(COLD + 1)).toEqual([...opacity.slice(COLD + 1)].sort((a, b) => a - b));
});

test("values between two places are interpolated before they are coloured", () => {
  const pixels = painted(map(2, 0, 255), 4, 1);
  const at = (x: number) => [...pixels.slice(4 * x, 4 * x + 4)];
  // A quarter of 255 is just below what is drawn; interpolated colours would be a faint red here.
  expect([at(0), at(1)[3], at(3)]).toEqual([colourOf(0), 0, colourOf(255)]);
  expect(at(2)).toEqual(colourOf(191));
});

test("a map of one place covers the whole picture", () => {
  expect([...painted(map(1, 255), 2, 2)]).toEqual(Array.from({ length: 4 }, () => colourOf(255)).flat());
});

test("the hottest place is the middle of what is hot, not the first corner of it", () => {
  const values = [0, 0, 0, 0, 0, 0, 255, 255, 255, 0, 0, 255, 255, 255, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0];
  expect(hottest(map(5, ...values))).toEqual([0.5, 0.5]);
  expect(hottest(map(2, 0, 90, 0, 0))).toEqual([0.75, 0.25]);
});

test("in a picture like the good ones nothing is hottest", () => {
  expect(hottest(map(2, 0, COLD, 12, 3))).toBeNull();
});
