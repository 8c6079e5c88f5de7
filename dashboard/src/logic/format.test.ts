import { describe, expect, it } from "vitest";
import { ago, bucket, bytes, integer, percent, score, time } from "./format";

describe("percent", () => {
  it("never rounds a share to none or all of them", () => {
    expect(percent(0.99996)).toBe("> 99.9 %");
    expect(percent(0.0001)).toBe("< 0.1 %");
    expect(percent(1)).toBe("100 %");
    expect(percent(0)).toBe("0 %");
    expect(percent(0.954)).toBe("95.4 %");
  });

  it("shows what is not known as a dash", () => {
    expect(percent(null)).toBe("–");
    expect(percent(Number.NaN)).toBe("–");
  });
});

describe("score", () => {
  it("has as many digits as tell on which side of its limit it lies", () => {
    expect(score(0.496, 0.5)).toBe("0.496");
    expect(score(0.49999, 0.5)).toBe("0.49999");
    expect(score(0.7, 0.5)).toBe("0.70");
    expect(score(0.5, 0.5)).toBe("0.50");
    expect(score(0.0752)).toBe("0.08");
  });
});

describe("time", () => {
  const now = new Date(2026, 10, 28, 21, 0, 0);

  it("leaves out the date of today, and shows that of other days", () => {
    expect(time(new Date(2026, 10, 28, 6, 5, 4).toISOString(), now)).toBe("06:05:04");
    expect(time(new Date(2026, 10, 27, 6, 5, 4).toISOString(), now)).toBe("27 Nov, 06:05");
  });

  it("shows what is no time as it is", () => {
    expect(time("soon", now)).toBe("soon");
  });
});

describe("ago", () => {
  const now = Date.parse("2026-11-28T21:00:00Z");
  it.each([
    ["2026-11-28T20:59:58Z", "just now"],
    ["2026-11-28T20:59:00Z", "60 s ago"],
    ["2026-11-28T20:30:00Z", "30 min ago"],
    ["2026-11-28T03:00:00Z", "18 h ago"],
    ["2026-11-25T21:00:00Z", "3 days ago"],
    ["2026-11-28T21:00:05Z", "just now"],
    ["never", "unknown"],
  ])("says of %s %s", (iso, words) => {
    expect(ago(iso, now)).toBe(words);
  });
});

it("names a day's bucket by the day of UTC, which it is", () => {
  expect(bucket("2026-11-28T00:00:00Z", "day")).toBe("28 Nov");
});

it("writes numbers and sizes for people", () => {
  expect(integer(12345)).toBe("12,345");
  expect(bytes(999)).toBe("999 B");
  expect(bytes(9617)).toBe("9.6 kB");
  expect(bytes(52_428_800)).toBe("52.4 MB");
});
