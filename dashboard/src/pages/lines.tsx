import { useState } from "preact/hooks";
import { api, ask } from "../api/client";
import type { Change, Counts } from "../api/types";
import { HealthNotices } from "../components/health";
import { OutcomeBar } from "../components/outcome-bar";
import { Page } from "../components/page";
import { Empty, Failed, Loading, Notice, Shown } from "../components/states";
import { Thumbnail } from "../components/thumbnail";
import { VerdictBadge } from "../components/verdict";
import { useChanges } from "../hooks/changes";
import { useLoad } from "../hooks/load";
import { useNow } from "../hooks/now";
import { sumOf, yieldOf } from "../logic/counts";
import { ago, integer, percent } from "../logic/format";
import { texts } from "../texts";

const SHIFT = "8h";
// A verdict of a line that has been silent for so long tells nothing about the present.
const SILENT_MS = 15 * 60_000;
const REFRESH_MS = 30_000;

type StationCounts = Counts & { line: string; station: string };
interface Line {
  line: string;
  stations: StationCounts[];
  lastSeen: string;
}

async function load(): Promise<Line[]> {
  const [places, statistics] = await Promise.all([
    ask(api.GET("/api/places")),
    ask(api.GET("/api/statistics", { params: { query: { since: SHIFT, by: "hour" } } })),
  ]);
  const names = [...new Set(places.items.map((place) => place.line))].sort();
  return names.map((line) => ({
    line,
    stations: statistics.lines
      .filter((counts) => counts.line === line)
      .sort((a, b) => a.station.localeCompare(b.station)),
    lastSeen: places.items
      .filter((place) => place.line === line)
      .map((place) => place.last_seen)
      .sort()
      .at(-1) as string,
  }));
}

/** The last inspection of a line, for one that saw nothing since the page was opened. */
async function lastOf(line: string): Promise<Change | null> {
  const query = { line, limit: 1, since: "30d" };
  const { items } = await ask(api.GET("/api/inspections", { params: { query } }));
  return items[0] ?? null;
}

/** All lines at a glance. */
export default function Lines() {
  const overview = useLoad(load, [], REFRESH_MS);
  const health = useLoad(() => ask(api.GET("/api/health")), [], REFRESH_MS);
  const [latest, setLatest] = useState<Record<string, Change>>({});
  const connected = useChanges(undefined, (changes) =>
    setLatest((before) => ({ ...before, ...Object.fromEntries(changes.map((change) => [change.line, change])) })),
  );
  return (
    <Page title={texts.lines.title} hint={texts.lines.hint}>
      {!connected && <Notice kind="fail">{texts.lines.disconnected}</Notice>}
      {health.data && <HealthNotices health={health.data} />}
      {health.error !== undefined && <Failed error={health.error} retry={health.reload} />}
      <Shown from={overview} height={220}>
        {(lines) =>
          lines.length === 0 ? (
            <Empty title={texts.lines.emptyTitle}>
              <p>{texts.lines.empty}</p>
              <code>{texts.lines.emptyCommand}</code>
            </Empty>
          ) : (
            <div class="line-grid">
              {lines.map((line) => (
                <LineCard key={line.line} {...line} latest={latest[line.line]} />
              ))}
            </div>
          )
        }
      </Shown>
    </Page>
  );
}

function LineCard({
  line,
  stations,
  lastSeen,
  latest,
}: {
  line: string;
  stations: StationCounts[];
  lastSeen: string;
  latest?: Change;
}) {
  const now = useNow();
  const stored = useLoad(() => lastOf(line), [line]);
  const last = latest ?? stored.data;
  const total = sumOf(stations);
  const seen = last?.inspected_at ?? lastSeen;
  const silent = now - Date.parse(seen) > SILENT_MS;
  return (
    <a
      class={`card line-card ${last && !silent ? `v-${last.verdict}` : "v-neutral"}`}
      href={`#/line/${encodeURIComponent(line)}`}
    >
      <div class="line-card-picture">
        {last ? <Thumbnail id={last.id} /> : stored.error !== undefined ? <Failed error={stored.error} /> : <Loading />}
      </div>
      <div class="line-card-body">
        <div class="row apart">
          <h2 class="clip">{line}</h2>
          {last && <VerdictBadge verdict={last.verdict} solid={!silent} />}
        </div>
        <div class="muted small clip">
          {last ? `${last.serial} · ` : ""}
          {ago(seen, now)}
        </div>
        {total.inspected === 0 ? (
          <p class="muted">{texts.lines.nothing}</p>
        ) : (
          <>
            <dl class="line-card-figures">
              <div>
                <dt>{texts.lines.yield}</dt>
                <dd>{percent(yieldOf(total))}</dd>
              </div>
              <div>
                <dt>{texts.lines.defective}</dt>
                <dd>{integer(total.fail)}</dd>
              </div>
              <div>
                <dt>{texts.lines.toReview}</dt>
                <dd>{integer(total.review)}</dd>
              </div>
              <div>
                <dt>{texts.lines.inspected}</dt>
                <dd>{integer(total.inspected)}</dd>
              </div>
            </dl>
            <ul class="line-card-stations">
              {stations.map((counts) => (
                <li key={counts.station}>
                  <span class="clip">{counts.station}</span>
                  <OutcomeBar counts={counts} />
                  <span>{percent(yieldOf(counts))}</span>
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
    </a>
  );
}
