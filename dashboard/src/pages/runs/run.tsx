import { ArrowLeft } from "lucide-preact";
import { api, ask } from "../../api/client";
import { ownOrigin } from "../../api/links";
import type { Candidate, Run, RunJob } from "../../api/paths.learning";
import { Card, Page } from "../../components/page";
import { Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { useNow } from "../../hooks/now";
import { dateTime, time } from "../../logic/format";
import { Approval } from "./approval";
import { Curves } from "./curves";
import { nameOf } from "./name";
import { columnsOf } from "./results";
import { type Stage, seconds, stagesOf } from "./stages";
import { Status } from "./status";
import { words } from "./words";

const REFRESH_MS = 3000;

/** A run: how far it is, what its models learn, and what was decided. */
export function RunPage({ name }: { name: string }) {
  const run = useLoad(() => ask(api.GET("/api/runs/{name}", { params: { path: { name } } })), [name], REFRESH_MS);
  const { data } = run;
  return (
    <Page
      title={nameOf(data ?? { name, run: null })}
      heading={
        <span class="row wrap">
          {nameOf(data ?? { name, run: null })} {data && <Status status={data.status} />}
        </span>
      }
      actions={
        <a class="button" href="#/runs">
          <ArrowLeft size={18} aria-hidden="true" />
          {words.back}
        </a>
      }
    >
      <Shown from={run} height={480}>
        {(loaded) => <Details run={loaded} reload={run.reload} />}
      </Shown>
    </Page>
  );
}

function Details({ run, reload }: { run: Run; reload: () => void }) {
  const now = useNow();
  const stages = stagesOf(run.steps, run.stopped_at !== null);
  const report = ownOrigin(run.report);
  return (
    <>
      <p class="muted">
        {words.columns.trigger} {words.triggers[run.trigger] ?? run.trigger} · {dateTime(run.started_at)} ·{" "}
        {words.took(seconds(run.started_at, run.stopped_at, now))}
        {run.dataset && ` · ${words.dataset}: ${run.dataset}`}
      </p>
      <Card title={words.pipeline}>
        <Pipeline stages={stages} now={now} />
      </Card>
      {run.waiting_for_approval && <Approval run={run} onAnswer={reload} />}
      <div class="run-columns">
        <Card title={words.jobs}>
          <ul class="jobs">
            {run.jobs.map((job) => (
              <Job key={job.name} job={job} />
            ))}
          </ul>
        </Card>
        <Curves jobs={run.jobs} />
      </div>
      <Card
        title={words.decision}
        actions={
          report && (
            <a href={report} target="_blank" rel="noreferrer">
              {words.report}
            </a>
          )
        }
      >
        <div class="stack tight">
          <p>
            <strong>
              {run.decision
                ? (words.decisions[run.decision] ?? run.decision)
                : run.stopped_at
                  ? words.ended
                  : words.undecided}
            </strong>
            {run.version !== null && <span class="muted"> · {words.version(run.version)}</span>}
          </p>
          <ul class="bullets">
            {run.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </div>
      </Card>
      {run.candidates.length > 0 && <Candidates run={run} />}
      {run.history.length > 0 && <RunHistory run={run} />}
    </>
  );
}

/** The stages as a line of stations. */
function Pipeline({ stages, now }: { stages: Stage[]; now: number }) {
  return (
    <ol class="pipeline">
      {stages.map((stage) => (
        <li key={stage.key} data-status={stage.status} aria-current={stage.status === "running" ? "step" : undefined}>
          <span class="station" aria-hidden="true" />
          <strong>{words.stages[stage.key] ?? stage.key}</strong>
          <Status status={stage.status} />
          <span class="muted small">
            {stage.startedAt ? words.took(seconds(stage.startedAt, stage.stoppedAt, now)) : "\u00a0"}
          </span>
        </li>
      ))}
    </ol>
  );
}

function Job({ job }: { job: RunJob }) {
  const part = job.epoch !== null && job.epochs ? job.epoch / job.epochs : job.status === "done" ? 1 : 0;
  return (
    <li>
      <div class="row apart">
        <span class="clip">
          <strong>{job.name === "champion" ? words.champion : job.name}</strong>{" "}
          <span class="muted small">{job.family}</span>
        </span>
        <Status status={job.status} />
      </div>
      <progress max={1} value={part} aria-label={words.progress(job.name)} />
      <div class="row apart muted small">
        <span>{job.epoch !== null && words.epoch(job.epoch, job.epochs)}</span>
        <span class="clip" title={job.detail}>
          {job.detail}
        </span>
      </div>
    </li>
  );
}

function Candidates({ run }: { run: Run }) {
  const { candidate: columns } = words;
  const figures = columnsOf([...run.candidates, ...(run.champion ? [run.champion] : [])]);
  const rows: Candidate[] = [...run.candidates, ...(run.champion ? [{ ...run.champion, id: words.champion }] : [])];
  return (
    <Card title={words.candidates} flush>
      <div class="table-frame">
        <table class="table">
          <thead>
            <tr>
              <th>{columns.id}</th>
              {figures.map(({ name, hint }) => (
                <th key={name} class="number" title={hint}>
                  {name}
                </th>
              ))}
              <th class="number">{columns.time}</th>
              <th class="number">{columns.cost}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={`${index} ${row.id}`}>
                <td>
                  {row.id ?? row.family} {row.promotable && <span class="badge plain v-pass">{words.winner}</span>}
                  {row.error && <p class="small muted">{row.error}</p>}
                </td>
                {figures.map(({ name, of, range }) => (
                  <td key={name} class="number nowrap">
                    {of(row)}
                    {range?.(row) && <span class="muted small"> ({range(row)})</span>}
                  </td>
                ))}
                <td class="number nowrap">{row.seconds ? words.took(Math.round(row.seconds)) : "–"}</td>
                <td class="number">
                  {row.cost_usd === null || row.cost_usd === undefined ? "–" : `$ ${row.cost_usd.toFixed(2)}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function RunHistory({ run }: { run: Run }) {
  return (
    <Card title={words.history}>
      <ul>
        {run.history.map((entry) => (
          <li key={`${entry.at} ${entry.action}`}>
            <strong>{entry.by}</strong> {words.actions[entry.action] ?? entry.action}{" "}
            <span class="muted small">{entry.at && time(entry.at)}</span>
            {entry.comment && <p>{entry.comment}</p>}
          </li>
        ))}
      </ul>
    </Card>
  );
}
