import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import type { RunJob } from "../../api/paths.learning";
import { axis, colour, Plot, type PlotOptions } from "../../charts/plot";
import { Segments } from "../../components/fields";
import { Card } from "../../components/page";
import { ANOMALY_MODELS } from "./families";
import { aligned, metricsOf } from "./series";
import { words } from "./words";

const COLOURS = ["chart-1", "chart-3", "chart-2", "chart-4", "chart-5"];
const HEIGHT = 260;

/** What the jobs have learned so far, metric by metric. */
export function Curves({ jobs }: { jobs: RunJob[] }) {
  const metrics = metricsOf(jobs);
  const [chosen, setChosen] = useState<string | null>(null);
  const metric = chosen && metrics.includes(chosen) ? chosen : metrics[0];
  const inOnePass = jobs.length > 0 && jobs.every(({ family }) => family !== null && ANOMALY_MODELS.includes(family));
  const drawn = metric ? jobs.filter((job) => job.curves[metric]?.length) : [];
  return (
    <Card
      title={words.curves}
      actions={
        metric && (
          <Segments
            label={words.metric}
            value={metric}
            options={metrics.map((value) => ({ value, name: words.curve[value] ?? value }))}
            onChange={setChosen}
          />
        )
      }
    >
      {metric ? (
        <Chart metric={metric} jobs={drawn} />
      ) : (
        <p class="muted">{inOnePass ? words.onePass : words.noCurves}</p>
      )}
    </Card>
  );
}

function Chart({ metric, jobs }: { metric: string; jobs: RunJob[] }) {
  const text = JSON.stringify(jobs.map(({ curves }) => curves[metric]));
  // Only new points draw the chart again, not each answer of the API.
  const data = useMemo((): uPlot.AlignedData => aligned((JSON.parse(text) as [number, number][][]) ?? []), [text]);
  const options = (): PlotOptions => ({
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    padding: [10, 16, 0, 0],
    scales: { x: { time: false } },
    axes: [axis({ grid: { show: false }, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] }), axis({ size: 54 })],
    series: [
      {},
      ...jobs.map((job, index) => ({
        label: job.name,
        stroke: colour(COLOURS[index % COLOURS.length] ?? "chart-1"),
        width: 2,
        spanGaps: true,
        points: { show: true, size: 5, fill: colour("surface") },
      })),
    ],
  });
  const name = words.curve[metric] ?? metric;
  return (
    <figure class="chart">
      <Plot
        options={options}
        data={data}
        height={HEIGHT}
        label={words.curveLabel(name, jobs.map((job) => job.name).join(", "))}
      />
      <figcaption>
        <ul class="legend small">
          {jobs.map((job, index) => (
            <li key={job.name}>
              <span class={`swatch line-${index % COLOURS.length}`} />
              {job.name} <strong>{job.curves[metric]?.at(-1)?.[1].toPrecision(3)}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}
