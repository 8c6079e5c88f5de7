import { expect, test } from "vitest";
import { keyed } from "./histogram";

test("a slider moves by a hundredth, with Shift or a page key by a tenth, and to both ends", () => {
  expect(keyed("ArrowRight", false, 0.5)).toBe(0.51);
  expect(keyed("ArrowDown", true, 0.5)).toBe(0.4);
  expect(keyed("PageUp", false, 0.5)).toBe(0.6);
  expect(keyed("Home", false, 0.5)).toBe(0);
  expect(keyed("End", false, 0.5)).toBe(1);
});

test("a slider stops at its ends, and leaves other keys alone", () => {
  expect(keyed("ArrowRight", true, 0.95)).toBe(1);
  expect(keyed("ArrowLeft", false, 0)).toBe(0);
  expect(keyed("Tab", false, 0.5)).toBeNull();
});
