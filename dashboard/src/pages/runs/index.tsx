import "./runs.css";
import { GraduationCap } from "lucide-preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { RunSummary } from "../../api/paths.learning";
import { can } from "../../api/session";
import { Card, Page } from "../../components/page";
import { Empty, Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { useNow } from "../../hooks/now";
import { dateTime, time } from "../../logic/format";
import { nameOf } from "./name";
import { resultOf } from "./results";
import { RunPage } from "./run";
import { seconds } from "./stages";
import { StartButton } from "./start";
import { Status } from "./status";
import { words } from "./words";

const REFRESH_MS = 10_000;

/** The trainings, or one of them. */
export default function Runs({ params }: { params: Record<string, string> }) {
  return params.name ? <RunPage name={params.name} /> : <RunList />;
}

function RunList() {
  const [limit] = useState(50);
  const runs = useLoad(
    async () => (await ask(api.GET("/api/runs", { params: { query: { limit } } }))).items,
    [limit],
    REFRESH_MS,
  );
  return (
    <Page title={words.title} hint={words.hint} actions={can("admin") && <StartButton />}>
      <Shown from={runs} height={320}>
        {(items) =>
          items.length ? (
            <RunTable runs={items} />
          ) : (
            <Empty title={words.emptyTitle} icon={GraduationCap}>
              <p>{words.empty}</p>
            </Empty>
          )
        }
      </Shown>
    </Page>
  );
}

function RunTable({ runs }: { runs: RunSummary[] }) {
  const now = useNow();
  const { columns } = words;
  return (
    <Card flush>
      <div class="table-frame">
        <table class="table hover">
          <thead>
            <tr>
              <th>{columns.name}</th>
              <th>{columns.status}</th>
              <th>{columns.decision}</th>
              <th class="number">{columns.best}</th>
              <th>{columns.trigger}</th>
              <th>{columns.started}</th>
              <th class="number">{columns.took}</th>
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => (
              <tr key={run.name}>
                <td class="nowrap">
                  <a href={`#/runs/${encodeURIComponent(run.name)}`}>{nameOf(run)}</a>
                </td>
                <td>
                  <Status status={run.status} />
                </td>
                <td class="run-decision">
                  {run.decision ? (
                    (words.decisions[run.decision] ?? run.decision)
                  ) : (
                    <span class="muted">{run.reasons[0]}</span>
                  )}
                  {run.version !== null && <span class="muted small"> · {words.version(run.version)}</span>}
                </td>
                <td class="number nowrap">{resultOf(run)}</td>
                <td class="nowrap">{words.triggers[run.trigger] ?? run.trigger}</td>
                <td class="nowrap" title={dateTime(run.started_at)}>
                  {time(run.started_at)}
                </td>
                <td class="number nowrap">{words.took(seconds(run.started_at, run.stopped_at, now))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
