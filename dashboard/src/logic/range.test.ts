import { describe, expect, it } from "vitest";
import { beginning, bucketOf, localInput, rangeName } from "./range";
import { shiftStart } from "./shift";

const NOW = Date.parse("2026-11-28T21:00:00Z");

describe("a period", () => {
  it("begins a length ago, or at its time", () => {
    expect(beginning("8h", NOW)?.toISOString()).toBe("2026-11-28T13:00:00.000Z");
    expect(beginning("15m", NOW)?.toISOString()).toBe("2026-11-28T20:45:00.000Z");
    expect(beginning("2026-11-01T00:00:00Z", NOW)?.toISOString()).toBe("2026-11-01T00:00:00.000Z");
    expect(beginning("nonsense", NOW)).toBeNull();
  });

  it("is counted by the hour up to three days, and by the day beyond", () => {
    expect(bucketOf({ since: "24h", until: "" }, NOW)).toBe("hour");
    expect(bucketOf({ since: "7d", until: "" }, NOW)).toBe("day");
    expect(bucketOf({ since: "2026-11-01T00:00:00Z", until: "2026-11-02T00:00:00Z" }, NOW)).toBe("hour");
  });

  it("has a name", () => {
    expect(rangeName({ since: "8h", until: "" })).toBe("Last 8 hours");
    expect(rangeName({ since: "2020-01-02T00:00:00Z", until: "" })).toMatch(/ to now$/);
  });

  it("is entered in the time of the person's clock", () => {
    expect(localInput(new Date(2026, 10, 28, 6, 5))).toBe("2026-11-28T06:05");
  });
});

describe("a shift", () => {
  it("that began at 22:00 began yesterday if it is two in the morning", () => {
    expect(shiftStart("22:00", new Date(2026, 10, 28, 2, 0))).toEqual(new Date(2026, 10, 27, 22, 0));
    expect(shiftStart("06:00", new Date(2026, 10, 28, 9, 30))).toEqual(new Date(2026, 10, 28, 6, 0));
  });

  it("is the last eight hours without a choice, or with a mistyped one", () => {
    const now = new Date(2026, 10, 28, 9, 30);
    expect(shiftStart("", now)).toEqual(new Date(2026, 10, 28, 1, 30));
    expect(shiftStart("25:00", now)).toEqual(new Date(2026, 10, 28, 1, 30));
  });
});
