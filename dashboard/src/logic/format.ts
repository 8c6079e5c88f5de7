// Numbers, times and names as people read them. Times are shown in the browser's time zone, on a 24-hour clock.
import { texts } from "../texts";

const LOCALE = "en-GB";
const number = new Intl.NumberFormat(LOCALE);
const clock = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });
const dayMonth = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(LOCALE, {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export const integer = (n: number): string => number.format(n);

/** 0.9941 → "99.4 %". A share that is not quite 0 or 1 is never rounded to it, because "100 %" promises none. */
export function percent(share: number | null | undefined, digits = 1): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  const smallest = 0.1 ** digits;
  const value = share * 100;
  if (value > 0 && value < smallest) return `< ${smallest.toFixed(digits)} %`;
  if (value < 100 && value > 100 - smallest) return `> ${(100 - smallest).toFixed(digits)} %`;
  return `${value.toFixed(value === 0 || value === 100 ? 0 : digits)} %`;
}

/** A score with as many digits as show on which side of its limit it lies: 0.496 against 0.5, not 0.50. */
export function score(value: number, limit?: number | null): string {
  for (let digits = 2; digits < 6; digits += 1) {
    const text = value.toFixed(digits);
    if (limit === null || limit === undefined || value === limit) return text;
    if (Number(text) < limit === value < limit && Number(text) !== limit) return text;
  }
  return String(value);
}

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  let value = n;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const sameDay = (a: Date, b: Date): boolean => a.toDateString() === b.toDateString();

/** The time of day, with the date unless it is today. */
export function time(iso: string, now = new Date()): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return sameDay(date, now) ? clock.format(date) : `${dayMonth.format(date)}, ${minute.format(date)}`;
}

export function dateTime(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : full.format(date);
}

const utcDay = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", timeZone: "UTC" });

/** The name of a bucket of the statistics, from its beginning: an hour, or a day, which is one of UTC. */
export function bucket(start: string | number, by: "hour" | "day"): string {
  const date = new Date(start);
  return by === "day" ? utcDay.format(date) : `${dayMonth.format(date)}, ${minute.format(date)}`;
}

export function ago(iso: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (Number.isNaN(seconds)) return texts.common.unknown;
  if (seconds < 5) return texts.ago.now;
  if (seconds < 90) return texts.ago.seconds(seconds);
  if (seconds < 90 * 60) return texts.ago.minutes(Math.round(seconds / 60));
  if (seconds < 36 * 3600) return texts.ago.hours(Math.round(seconds / 3600));
  return texts.ago.days(Math.round(seconds / 86_400));
}

/** The shortest name of a model's version that people still tell apart. */
export const shortVersion = (version: string): string => (version.length > 14 ? `${version.slice(0, 12)}…` : version);
