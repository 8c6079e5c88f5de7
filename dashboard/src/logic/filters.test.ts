// @vitest-environment happy-dom
import { act, renderHook } from "@testing-library/preact";
import { beforeEach, expect, it } from "vitest";
import { readFilters, sent, useFilters, writeFilters } from "./filters";
import { navigate, path, query } from "./location";

const DEFAULTS = { serial: "", line: "", since: "7d" };

beforeEach(() => navigate("/", { replace: true }));

it("writes only what differs from the defaults, and reads it back", () => {
  const filters = { serial: "a&b=c#d/ü", line: "", since: "24h" };
  const text = writeFilters(filters, DEFAULTS);
  expect(text).toBe("?serial=a%26b%3Dc%23d%2F%C3%BC&since=24h");
  expect(readFilters(text.slice(1), DEFAULTS)).toEqual(filters);
  expect(writeFilters(DEFAULTS, DEFAULTS)).toBe("");
});

it("ignores what it does not know in an address", () => {
  expect(readFilters("since=&evil=1&line=line-1", DEFAULTS)).toEqual({ serial: "", line: "line-1", since: "7d" });
});

it("sends no empty filter to the API", () => {
  expect(sent({ serial: "", line: "line-1", since: "7d" })).toEqual({ line: "line-1", since: "7d" });
});

it("keeps the filters in the page's address, and follows it", () => {
  navigate("/inspections?line=line-1", { replace: true });
  const { result } = renderHook(() => useFilters(DEFAULTS));
  expect(result.current[0]).toEqual({ serial: "", line: "line-1", since: "7d" });
  act(() => result.current[1]({ serial: "SN 1" }));
  expect(window.location.hash).toBe("#/inspections?serial=SN+1&line=line-1");
  expect(path.value).toBe("/inspections");
  expect(query.value).toBe("serial=SN+1&line=line-1");
  expect(result.current[0].serial).toBe("SN 1");
});
