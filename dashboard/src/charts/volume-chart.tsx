import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Bucket, Verdict } from "../api/types";
import { bucket, integer } from "../logic/format";
import { texts } from "../texts";
import { axis, colour, Plot, type PlotOptions } from "./plot";

// From the ground up: what failed stands on the ground line, where small numbers can be compared.
const ORDER: Verdict[] = ["fail", "review", "unreadable", "pass"];

/** How much was inspected in each bucket, stacked by verdict. */
export function VolumeChart({ buckets, by, height = 180 }: { buckets: Bucket[]; by: "hour" | "day"; height?: number }) {
  const [under, setUnder] = useState<number | null>(null);
  const data = useMemo((): uPlot.AlignedData => {
    const sums = buckets.map(() => 0);
    const stacked = ORDER.map((verdict) =>
      buckets.map((one, index) => {
        sums[index] = (sums[index] ?? 0) + one[verdict];
        return sums[index] as number;
      }),
    );
    // The highest is drawn first, and the lower ones over it.
    return [buckets.map((one) => Date.parse(one.start) / 1000), ...stacked.reverse()];
  }, [buckets]);
  const options = (): PlotOptions => {
    const bars = uPlot.paths.bars?.({ size: [0.78, 40], align: 0 });
    const step = by === "day" ? 86_400 : 3600;
    return {
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
      padding: [10, 20, 0, 0],
      tzDate: (time) => (by === "day" ? uPlot.tzDate(new Date(time * 1000), "Etc/UTC") : new Date(time * 1000)),
      scales: {
        x: { range: (_, least, most) => [least - step * 0.6, most + step * 0.6] },
        y: { range: (_, __, most) => [0, Math.max(most * 1.05, 1)] },
      },
      axes: [
        axis({
          grid: { show: false },
          size: 30,
          incrs: by === "day" ? [1, 2, 3, 7, 14, 30].map((d) => d * 86_400) : [1, 2, 3, 6, 12, 24].map((h) => h * 3600),
          values: (_, splits) =>
            splits.map((time) => {
              const [day, hour] = bucket(time * 1000, by).split(", ");
              return by === "day" || hour === "00:00" ? (day ?? "") : (hour ?? "");
            }),
          space: by === "day" ? 60 : 52,
        }),
        axis({
          values: (_, splits) => splits.map((value) => (Number.isInteger(value) ? integer(value) : "")),
          size: 54,
        }),
      ],
      series: [
        {},
        ...[...ORDER].reverse().map((verdict) => ({
          fill: colour(`${verdict}-solid`),
          stroke: colour("surface"),
          width: 0.5,
          points: { show: false },
          ...(bars && { paths: bars }),
        })),
      ],
      hooks: { setCursor: [(plot) => setUnder(plot.cursor.idx ?? null)] },
    };
  };
  const told = under === null ? undefined : buckets[under];
  return (
    <figure class="chart">
      <Plot options={options} data={data} height={height} label={texts.charts.volumeLabel} />
      <figcaption class="chart-told">
        {told && <strong>{bucket(told.start, by)}:</strong>}
        {[...ORDER].reverse().map((verdict) => (
          <span key={verdict} class={`chart-key v-${verdict}`}>
            <i />
            {texts.verdicts[verdict]}
            {told && ` ${integer(told[verdict])}`}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
