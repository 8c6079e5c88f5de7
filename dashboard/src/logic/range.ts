// A period of time as the address and the API write it: a length ("8h": until now), or two ends.
import { texts } from "../texts";
import { time } from "./format";

export interface Range {
  since: string;
  until: string;
}

const LENGTH = /^(\d+)([mhd])$/;
const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The first moment of a period; `null` if `since` is neither a length nor a time. */
export function beginning(since: string, now = Date.now()): Date | null {
  const length = LENGTH.exec(since);
  if (length) return new Date(now - Number(length[1]) * UNIT_MS[length[2] as keyof typeof UNIT_MS]);
  const date = new Date(since);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** Hours for up to three days, so that a chart has at most 72 of them; days for more. */
export function bucketOf(range: Range, now = Date.now()): "hour" | "day" {
  const first = beginning(range.since, now)?.getTime() ?? now;
  const end = range.until ? Date.parse(range.until) : now;
  return end - first > 72 * UNIT_MS.h ? "day" : "hour";
}

export function rangeName(range: Range): string {
  const preset = texts.ranges.presets[range.since];
  if (preset && !range.until) return preset;
  const first = beginning(range.since);
  const from = first ? time(first.toISOString()) : range.since;
  return `${from} ${texts.ranges.to} ${range.until ? time(range.until) : texts.ranges.now}`;
}

/** A time as `<input type="datetime-local">` wants it: the browser's zone, to the minute. */
export function localInput(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
