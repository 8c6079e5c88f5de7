// A shift is the last eight hours, or everything since an hour of the day at which it began.

/** When the shift began. `choice` is "" for the last eight hours, or a time of day such as "06:00". */
export function shiftStart(choice: string, now = new Date()): Date {
  const time = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(choice);
  if (!time) return new Date(now.getTime() - 8 * 3_600_000);
  const start = new Date(now);
  start.setHours(Number(time[1]), Number(time[2]), 0, 0);
  // 22:00 at two in the morning was yesterday.
  if (start > now) start.setDate(start.getDate() - 1);
  return start;
}

/** The hours of the day at which a shift can begin. */
export const SHIFT_HOURS = Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, "0")}:00`);
