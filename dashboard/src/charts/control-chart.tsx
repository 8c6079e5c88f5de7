import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import type { ControlPoint } from "../logic/control-chart";
import { bucket, integer, percent } from "../logic/format";
import { texts } from "../texts";
import { axis, colour, Plot, type PlotOptions } from "./plot";

const words = texts.charts;
const HOUR_S = 3600;
// With fewer points, the mean is mostly the points themselves.
const FEWEST = 5;

/** The rate of each bucket with its limits; what lies outside is marked in red and larger. */
export function ControlChart({
  points,
  centre,
  by,
  height = 260,
}: {
  points: ControlPoint[];
  centre: number | null;
  by: "hour" | "day";
  height?: number;
}) {
  const [under, setUnder] = useState<number | null>(null);
  const data = useMemo(
    (): uPlot.AlignedData => [
      points.map((point) => Date.parse(point.start) / 1000),
      points.map((point) => point.upper),
      points.map((point) => point.lower),
      points.map(() => centre),
      points.map((point) => point.rate),
      points.map((point) => (point.outside ? point.rate : null)),
    ],
    [points, centre],
  );
  const outside = points.filter((point) => point.outside).length;
  const inspected = points.filter((point) => point.inspected > 0).length;
  const options = (): PlotOptions => {
    const limit = { stroke: colour("muted"), width: 1, dash: [4, 4], points: { show: false } };
    const stepped = uPlot.paths.stepped?.({ align: 1, extend: true });
    const rates = {
      stroke: colour("chart-1"),
      width: 2,
      points: { show: true, size: 6, fill: colour("surface"), stroke: colour("chart-1"), width: 2 },
      spanGaps: false,
    };
    return {
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      padding: [10, 20, 0, 0],
      // Days are UTC's; hours are those of the person's clock.
      tzDate: (time) => (by === "day" ? uPlot.tzDate(new Date(time * 1000), "Etc/UTC") : new Date(time * 1000)),
      scales: { y: { range: () => [0, scaleEnd(points, centre)] } },
      axes: [
        axis({
          grid: { show: false },
          size: 30,
          incrs:
            by === "day"
              ? [1, 2, 3, 7, 14, 30].map((d) => d * 24 * HOUR_S)
              : [1, 2, 3, 6, 12, 24].map((h) => h * HOUR_S),
          values: (_, splits) => splits.map((time) => shortName(time, by)),
          space: by === "day" ? 60 : 52,
        }),
        axis({ values: (_, splits) => splits.map((value) => `${Number((value * 100).toFixed(1))} %`), size: 54 }),
      ],
      series: [
        {},
        { ...limit, ...(stepped && { paths: stepped }) },
        { ...limit, ...(stepped && { paths: stepped }) },
        { stroke: colour("muted"), width: 1.5, points: { show: false } },
        rates,
        {
          stroke: "transparent",
          width: 0,
          points: { show: true, size: 11, fill: colour("fail-solid"), stroke: colour("surface"), width: 2 },
        },
      ],
      hooks: { setCursor: [(plot) => setUnder(plot.cursor.idx ?? null)] },
    };
  };
  const told = under === null ? undefined : points[under];
  return (
    <figure class="chart">
      <Plot
        options={options}
        data={data}
        height={height}
        label={words.controlLabel(points.length, outside, percent(centre))}
      />
      <figcaption class="chart-told" aria-live="off">
        {told ? (
          <PointWords point={told} by={by} />
        ) : (
          <span>{inspected < FEWEST ? words.tooFew(by) : words.controlHint(outside, by)}</span>
        )}
      </figcaption>
    </figure>
  );
}

/** The end of the scale: all rates fit, and limits unless they are so wide, with few pictures, that rates look flat. */
function scaleEnd(points: ControlPoint[], centre: number | null): number {
  const rates = Math.max(centre ?? 0, ...points.map((point) => point.rate ?? 0));
  const limits = Math.max(0, ...points.map((point) => point.upper ?? 0));
  return Math.min(1, Math.max(rates * 1.1, Math.min(limits * 1.08, rates * 2.5), 0.01));
}

function shortName(time: number, by: "hour" | "day"): string {
  const [day, hour] = bucket(time * 1000, by).split(", ");
  return by === "day" || hour === "00:00" ? (day ?? "") : (hour ?? "");
}

function PointWords({ point, by }: { point: ControlPoint; by: "hour" | "day" }) {
  const { start, rate, fail, inspected, lower, upper, outside } = point;
  return (
    <span>
      <strong>{bucket(start, by)}</strong>: {words.defective(integer(fail), integer(inspected), percent(rate))}
      {lower !== null && upper !== null && <>, {words.limits(percent(lower), percent(upper))}</>}
      {outside && <strong class="v-fail outside">{words.outside[outside]}</strong>}
    </span>
  );
}
