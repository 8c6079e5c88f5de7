import "./datasets.css";
import { Database } from "lucide-preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import { type Dataset, PARTS, type Snapshot } from "../../api/paths.learning";
import { Button } from "../../components/button";
import { Segments } from "../../components/fields";
import { Card, Page } from "../../components/page";
import { Empty, Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { useFilters } from "../../logic/filters";
import { dateTime, integer, percent, shortVersion, time } from "../../logic/format";
import { texts } from "../../texts";
import { classRows, FEW, findingsOf, growth } from "./logic";
import { words } from "./words";

const FILTERS = { set: "", snapshot: "" };

/** What models are trained and tested on. */
export default function Datasets() {
  const [filters, change] = useFilters(FILTERS);
  const sets = useLoad(async () => (await ask(api.GET("/api/datasets"))).items, []);
  const name = filters.set || sets.data?.find(({ own }) => own)?.name || sets.data?.[0]?.name || "";
  return (
    <Page
      title={words.title}
      hint={words.hint}
      actions={
        sets.data &&
        sets.data.length > 1 && (
          <Segments
            label={words.set}
            value={name}
            options={sets.data.map((set) => ({ value: set.name, name: set.name }))}
            onChange={(set) => change({ set, snapshot: "" })}
          />
        )
      }
    >
      <Shown from={sets} height={320}>
        {(items) =>
          items.length ? (
            <OneSet key={name} name={name} chosen={filters.snapshot} choose={(snapshot) => change({ snapshot })} />
          ) : (
            <Empty title={words.emptyTitle} icon={Database}>
              <p>{words.empty}</p>
              <code>{words.emptyCommand}</code>
            </Empty>
          )
        }
      </Shown>
    </Page>
  );
}

function OneSet({ name, chosen, choose }: { name: string; chosen: string; choose: (snapshot: string) => void }) {
  const set = useLoad(() => ask(api.GET("/api/datasets/{name}", { params: { path: { name } } })), [name]);
  return (
    <Shown from={set} height={420}>
      {(data) => {
        const snapshot = data.snapshots.find(({ id }) => id === chosen) ?? data.snapshots[0];
        return (
          snapshot && (
            <>
              <p class="muted">
                {data.name}
                {data.own && ` · ${words.own}`} · <span class="mono">{shortVersion(snapshot.id)}</span> ·{" "}
                {dateTime(snapshot.stored_at)}
              </p>
              <Contents key={snapshot.id} snapshot={snapshot} />
              <Snapshots set={data} shown={snapshot.id} choose={choose} />
            </>
          )
        );
      }}
    </Shown>
  );
}

function Contents({ snapshot }: { snapshot: Snapshot }) {
  const rows = classRows(snapshot);
  const figures = [
    [words.figures.images, snapshot.images],
    [words.figures.classes, rows.length],
    [words.figures.good, snapshot.good],
    [words.figures.leftOut, snapshot.left_out_count],
  ] as const;
  return (
    <>
      <Card flush>
        <dl class="figures">
          {figures.map(([name, value]) => (
            <div key={name} class="figure">
              <dt>{name}</dt>
              <dd>{integer(value)}</dd>
            </div>
          ))}
        </dl>
      </Card>
      <div class="dataset-columns">
        <Card title={words.classes}>
          <PartsLegend snapshot={snapshot} />
          <ClassBars rows={rows} />
        </Card>
        <LeftOutCard snapshot={snapshot} />
      </div>
    </>
  );
}

function PartsLegend({ snapshot: { parts, images } }: { snapshot: Snapshot }) {
  return (
    <ul class="legend small muted" aria-label={words.partsTitle}>
      {PARTS.map((part) => (
        <li key={part}>
          <span class={`swatch part-${part}`} />
          {words.parts[part]}: {integer(parts[part])} ({percent(images ? parts[part] / images : null, 0)})
        </li>
      ))}
    </ul>
  );
}

function ClassBars({ rows }: { rows: ReturnType<typeof classRows> }) {
  const most = Math.max(1, ...rows.map(({ total }) => total));
  return (
    <table class="table class-bars">
      <thead class="visually-hidden">
        <tr>
          <th>{words.columns.label}</th>
          {PARTS.map((part) => (
            <th key={part}>{words.parts[part]}</th>
          ))}
          <th>{words.columns.total}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ label, images, total, objects, few }) => (
          <tr key={label}>
            <th scope="row" class="clip" title={label}>
              {label}
            </th>
            <td
              colSpan={PARTS.length}
              title={images.map((count, index) => `${words.parts[PARTS[index] ?? ""]}: ${count}`).join(", ")}
            >
              <span class="stacked" aria-hidden="true">
                {images.map((count, index) => (
                  <span
                    key={PARTS[index]}
                    class={`part-${PARTS[index]}`}
                    style={{ width: `${(count / most) * 100}%` }}
                  />
                ))}
              </span>
              <span class="visually-hidden">{images.join(", ")}</span>
            </td>
            <td class="number nowrap">
              {integer(total)} <span class="muted small">· {words.objects(objects)}</span>
              {few && (
                <span class="badge plain v-review" title={words.few(FEW)}>
                  {words.parts.test} {integer(images[2] ?? 0)}
                </span>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function LeftOutCard({ snapshot: { left_out, left_out_count } }: { snapshot: Snapshot }) {
  return (
    <Card title={words.findings}>
      {left_out.length === 0 && <p class="muted">{words.findingsNone}</p>}
      {findingsOf(left_out).map(({ reason, items }) => (
        <details key={reason} class="finding">
          <summary>
            {reason} <span class="muted">({integer(items.length)})</span>
          </summary>
          <ul class="small">
            {items.map((item, index) => (
              <li key={`${index} ${item.file_name}`} class="clip" title={item.file_name}>
                <span class="mono">{item.file_name}</span>
                {typeof item.instead === "string" && (
                  <span class="muted">
                    {" "}
                    · {words.finding.instead}: <span class="mono">{item.instead}</span>
                  </span>
                )}
              </li>
            ))}
          </ul>
        </details>
      ))}
      {left_out_count > left_out.length && <p class="muted small">{words.findingsMore(left_out.length)}</p>}
    </Card>
  );
}

function Snapshots({ set, shown, choose }: { set: Dataset; shown: string; choose: (snapshot: string) => void }) {
  const [all, setAll] = useState(false);
  const changes = growth(set.snapshots);
  const { snapshot: columns } = words;
  return (
    <Card title={words.snapshots} flush>
      <div class="table-frame">
        <table class="table">
          <thead>
            <tr>
              <th>{columns.id}</th>
              <th>{columns.stored}</th>
              <th class="number">{columns.images}</th>
              <th>{columns.change}</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {set.snapshots.slice(0, all ? undefined : 6).map((snapshot, index) => (
              <tr key={snapshot.id}>
                <td class="mono">{shortVersion(snapshot.id)}</td>
                <td title={dateTime(snapshot.stored_at)}>{time(snapshot.stored_at)}</td>
                <td class="number">{integer(snapshot.images)}</td>
                <td class="muted">{changes[index] === null ? "" : words.change(changes[index] ?? 0)}</td>
                <td class="number">
                  {snapshot.id === shown ? (
                    <span class="badge plain v-neutral">{words.shown}</span>
                  ) : (
                    <Button onClick={() => choose(snapshot.id)}>{words.show}</Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!all && set.snapshots.length > 6 && (
        <div class="card-body">
          <Button onClick={() => setAll(true)}>{texts.common.more}</Button>
        </div>
      )}
    </Card>
  );
}
