import type { Rate } from "../api/types";
import { integer, percent } from "../logic/format";
import { texts } from "../texts";

/** A measured rate with the interval in which the true one lies; `most` is the end of the scale. */
export function Interval({ rate, most }: { rate: Rate & { reason?: string | null }; most: number }) {
  if (rate.value === null) return <span class="muted small">{rate.reason ?? texts.rates.unmeasured}</span>;
  const at = (value: number | null): string => `${Math.min(100, ((value ?? 0) / most) * 100)}%`;
  const low = rate.low ?? 0;
  const high = rate.high ?? 1;
  return (
    <span class="rate-interval">
      <span class="interval-scale" aria-hidden="true">
        <span style={{ left: at(low), right: `${100 - Math.min(100, (high / most) * 100)}%` }} />
        <i style={{ left: at(rate.value) }} />
      </span>
      <span class="interval-words">
        <strong>{percent(rate.value)}</strong>{" "}
        <span class="muted small">{texts.rates.between(percent(rate.low), percent(rate.high))}</span>
      </span>
    </span>
  );
}

export const reviewedWords = (rate: Rate): string =>
  texts.rates.counts(integer(rate.wrong), integer(rate.reviewed), integer(rate.of));

/** The end of a scale on which all these rates and their intervals can be compared. */
export function scaleOf(rates: Rate[]): number {
  const measured = rates.filter((rate) => rate.value !== null);
  const most = Math.max(
    0.01,
    ...measured.map((rate) => Math.min(rate.high ?? 0, 2.5 * Math.max(rate.value ?? 0, 0.04))),
  );
  return Math.min(1, most * 1.05);
}
