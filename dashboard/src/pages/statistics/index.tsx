import { ChartColumn } from "lucide-preact";
import { useMemo } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { Statistics } from "../../api/types";
import { ControlChart } from "../../charts/control-chart";
import { ParetoChart } from "../../charts/pareto-chart";
import { VolumeChart } from "../../charts/volume-chart";
import { Select } from "../../components/fields";
import { Card, Page } from "../../components/page";
import { RangePicker } from "../../components/range";
import { Empty, Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { controlPoints } from "../../logic/control-chart";
import { type Filters, sent, useFilters, writeFilters } from "../../logic/filters";
import { dateTime, shortVersion } from "../../logic/format";
import { pareto } from "../../logic/pareto";
import { beginning, bucketOf } from "../../logic/range";
import { texts } from "../../texts";
import { Breakdown } from "./breakdown";
import { BucketTable } from "./bucket-table";
import { Figures } from "./figures";
import { RatesCard } from "./rates";

const DEFAULTS = { since: "7d", until: "", line: "", station: "", model: "" };
export type StatisticsFilters = Filters<keyof typeof DEFAULTS>;
const PRESETS = ["8h", "24h", "7d", "30d", "90d"];
const REFRESH_MS = 60_000;
const words = texts.statistics;

const unique = (names: string[]): string[] => [...new Set(names)].sort();

/** What was inspected and found over time, where, by which model, and how far the verdicts can be trusted. */
export default function StatisticsPage() {
  const [filters, change] = useFilters(DEFAULTS);
  const by = bucketOf(filters);
  const key = JSON.stringify(filters);
  const loaded = useLoad(
    () => ask(api.GET("/api/statistics", { params: { query: { ...sent(filters), by } } })),
    [key],
    REFRESH_MS,
  );
  return (
    <Page
      title={words.title}
      hint={words.hint}
      actions={<RangePicker range={filters} presets={PRESETS} onChange={change} />}
    >
      <Where filters={filters} change={change} />
      <Shown from={loaded} height={420}>
        {(statistics) =>
          statistics.totals.inspected === 0 ? (
            <Empty title={words.nothing} icon={ChartColumn}>
              <p>{words.nothingHint}</p>
            </Empty>
          ) : (
            <Content statistics={statistics} filters={filters} by={by} />
          )
        }
      </Shown>
      <RatesCard filters={filters} />
    </Page>
  );
}

function Where({
  filters,
  change,
}: {
  filters: StatisticsFilters;
  change: (changed: Partial<StatisticsFilters>) => void;
}) {
  const places = useLoad(() => ask(api.GET("/api/places")), []).data?.items ?? [];
  const ofLine = places.filter((place) => !filters.line || place.line === filters.line);
  const options = (names: string[]) => unique(names).map((name) => ({ value: name, name }));
  return (
    <div class="filters">
      <Select
        label={texts.inspections.line}
        all={texts.inspections.allLines}
        value={filters.line}
        options={options(places.map((place) => place.line))}
        onChange={(line) => change({ line, station: "" })}
      />
      <Select
        label={texts.inspections.station}
        all={texts.inspections.allStations}
        value={filters.station}
        options={options(ofLine.map((place) => place.station))}
        onChange={(station) => change({ station })}
      />
      <Select
        label={texts.inspections.model}
        all={texts.inspections.allModels}
        value={filters.model}
        options={unique(ofLine.flatMap((place) => place.models)).map((value) => ({ value, name: shortVersion(value) }))}
        onChange={(model) => change({ model })}
      />
    </div>
  );
}

function Content({
  statistics,
  filters,
  by,
}: {
  statistics: Statistics;
  filters: StatisticsFilters;
  by: "hour" | "day";
}) {
  const points = useMemo(() => controlPoints(statistics), [statistics]);
  const defects = useMemo(() => pareto(statistics.totals.defects), [statistics]);
  const pictures = (defect: string): string =>
    `#/inspections${writeFilters({ ...filters, defect, verdict: "fail" }, { ...DEFAULTS, defect: "", verdict: "" })}`;
  const { counted_since: counted } = statistics;
  const first = beginning(filters.since);
  return (
    <>
      <Figures totals={statistics.totals} />
      {counted && first && Date.parse(counted) > first.getTime() && (
        <p class="muted small">{words.countedSince(dateTime(counted))}</p>
      )}
      <div class="statistics-charts">
        <Card title={words.rate}>
          <ControlChart points={points} centre={statistics.control.centre} by={by} />
        </Card>
        <Card title={words.pareto}>
          {defects.length > 0 ? (
            <ParetoChart rows={defects} addressOf={pictures} />
          ) : (
            <p class="muted">{words.noDefects}</p>
          )}
        </Card>
      </div>
      <Card title={words.volume}>
        <VolumeChart buckets={statistics.buckets} by={by} />
        <BucketTable points={points} buckets={statistics.buckets} by={by} />
      </Card>
      <div class="statistics-halves">
        <Breakdown
          title={words.byStation}
          rows={statistics.lines.map((counts) => ({ name: `${counts.line} / ${counts.station}`, counts }))}
        />
        <Breakdown
          title={words.byModel}
          rows={statistics.models.map((counts) => ({
            name: shortVersion(counts.version),
            hint: counts.version,
            counts,
          }))}
        />
      </div>
    </>
  );
}
