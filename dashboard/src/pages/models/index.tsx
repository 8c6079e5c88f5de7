import "./models.css";
import { Boxes, GitCompareArrows, Undo2 } from "lucide-preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { Model } from "../../api/paths.learning";
import { can } from "../../api/session";
import { Button } from "../../components/button";
import { Card, Page } from "../../components/page";
import { Empty, Notice, Shown } from "../../components/states";
import { toast } from "../../components/toasts";
import { useLoad } from "../../hooks/load";
import { useFilters } from "../../logic/filters";
import { dateTime, time } from "../../logic/format";
import { navigate } from "../../logic/location";
import { texts } from "../../texts";
import { Problems } from "../thresholds/changes";
import { Comparison } from "./comparison";
import { figuresFor } from "./figures";
import { words } from "./words";

const FILTERS = { versions: "" };
const LOOKS: Record<string, string> = {
  serving: "v-pass",
  former: "v-neutral",
  rejected: "v-fail",
  pending: "v-review",
};

/** The registered models, or two of them side by side. */
export default function Models() {
  const [{ versions }] = useFilters(FILTERS);
  return /^\d+,\d+$/.test(versions) ? <Comparison versions={versions} /> : <ModelList />;
}

function ModelList() {
  const models = useLoad(async () => (await ask(api.GET("/api/models"))).items, []);
  const [chosen, setChosen] = useState<number[]>([]);
  const [back, setBack] = useState<Model | null>(null);
  const serving = models.data?.find(({ status }) => status === "serving");
  const toggle = (version: number) =>
    setChosen(chosen.includes(version) ? chosen.filter((each) => each !== version) : [...chosen.slice(-1), version]);
  return (
    <Page
      title={words.title}
      hint={words.hint}
      actions={
        <Button
          kind="primary"
          icon={GitCompareArrows}
          disabled={chosen.length !== 2}
          title={chosen.length === 2 ? undefined : words.compareHint}
          onClick={() => navigate(`/models?versions=${chosen.join(",")}`)}
        >
          {words.compare}
        </Button>
      }
    >
      <Shown from={models} height={320}>
        {(items) =>
          items.length ? (
            <>
              {serving ? <Serving model={serving} /> : <Notice>{words.nothingServes}</Notice>}
              <Table models={items} chosen={chosen} toggle={toggle} onBack={setBack} />
            </>
          ) : (
            <Empty title={words.emptyTitle} icon={Boxes}>
              <p>{words.empty}</p>
            </Empty>
          )
        }
      </Shown>
      {back && <BackDialog model={back} serving={serving?.version ?? null} onClose={() => setBack(null)} />}
    </Page>
  );
}

function Serving({ model }: { model: Model }) {
  const { metrics } = model;
  const { good_images: good, defective_images: defective } = metrics;
  return (
    <Card
      title={
        <>
          {words.serves}: {words.version(model.version)}{" "}
          <span class="muted">
            {model.family} {model.serving_since && words.since(dateTime(model.serving_since))}
          </span>
        </>
      }
      flush
    >
      <dl class="figures">
        {figuresFor([model]).map(({ name, hint, of, text, range }) => (
          <div key={name} class="figure" title={hint}>
            <dt>{name}</dt>
            <dd>
              {text(of(metrics))}
              {range?.(metrics) && <small>{range(metrics)}</small>}
            </dd>
          </div>
        ))}
      </dl>
      {typeof good === "number" && typeof defective === "number" && (
        <p class="models-counts muted small">{words.counts(good, defective)}</p>
      )}
    </Card>
  );
}

interface TableProps {
  models: Model[];
  chosen: number[];
  toggle: (version: number) => void;
  onBack: (model: Model) => void;
}

function Table({ models, chosen, toggle, onBack }: TableProps) {
  const { columns } = words;
  const figures = figuresFor(models);
  return (
    <Card flush>
      <div class="table-frame">
        <table class="table hover">
          <thead>
            <tr>
              <th>{columns.compare}</th>
              <th>{columns.version}</th>
              <th>{columns.status}</th>
              {figures.map(({ name, short, hint }) => (
                <th key={name} class="number" title={hint && `${name}. ${hint}`}>
                  {short ?? name}
                </th>
              ))}
              <th>{columns.created}</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {models.map((model) => (
              <tr key={model.version}>
                <td>
                  <label class="check">
                    <input
                      type="checkbox"
                      aria-label={words.pick(model.version)}
                      checked={chosen.includes(model.version)}
                      onChange={() => toggle(model.version)}
                    />
                  </label>
                </td>
                <td>
                  <strong>{model.version}</strong> <span class="muted small">{model.family}</span>
                </td>
                <td>
                  <span class={`badge plain ${LOOKS[model.status] ?? "v-neutral"}`}>
                    {words.statuses[model.status] ?? model.status}
                  </span>
                </td>
                {figures.map(({ name, of, text }) => (
                  <td key={name} class="number nowrap">
                    {text(of(model.metrics))}
                  </td>
                ))}
                <td class="nowrap" title={dateTime(model.created_at)}>
                  {time(model.created_at)}
                </td>
                <td class="number">
                  {can("admin") && model.status === "former" && (
                    <Button icon={Undo2} onClick={() => onBack(model)}>
                      {words.rollback.button}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function BackDialog({ model, serving, onClose }: { model: Model; serving: number | null; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  useLayoutEffect(() => dialog.current?.showModal(), []);

  async function submit() {
    setBusy(true);
    setError(undefined);
    try {
      const { name } = await ask(api.POST("/api/models/rollback", { body: { to: model.version } }));
      toast(words.rollback.started);
      navigate(`/runs/${encodeURIComponent(name)}`);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="back-title" onClose={onClose}>
      <div class="stack">
        <h2 id="back-title">{words.rollback.title(model.version)}</h2>
        <p>{words.rollback.text(serving)}</p>
        {error !== undefined && <Problems error={error} />}
        <div class="row apart">
          <Button onClick={onClose}>{texts.common.cancel}</Button>
          <Button kind="primary" icon={Undo2} busy={busy} onClick={submit}>
            {words.rollback.submit}
          </Button>
        </div>
      </div>
    </dialog>
  );
}
