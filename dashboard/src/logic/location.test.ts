// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { decoded } from "./location";

test("any name of a line is a parameter of an address, and comes back as it was", () => {
  for (const line of ["line-1", "a=b", "50%", "x/y?z#1", "%3D", "Größe 1", "<svg onload=alert(1)>"]) {
    expect(decoded({ line: encodeURIComponent(line) })).toEqual({ line });
  }
});

test("an address that nobody has encoded is taken as it is", () => {
  expect(decoded({ line: "50%" })).toEqual({ line: "50%" });
});
