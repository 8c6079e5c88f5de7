import { Play } from "lucide-preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { QueuePage, ReviewState } from "../../api/paths.review";
import { can } from "../../api/session";
import type { Review } from "../../api/types";
import { Button } from "../../components/button";
import { Segments, Select } from "../../components/fields";
import { Card, Page } from "../../components/page";
import { Empty, Notice, Shown } from "../../components/states";
import { Thumbnail } from "../../components/thumbnail";
import { toastError } from "../../components/toasts";
import { VerdictBadge } from "../../components/verdict";
import { useLoad } from "../../hooks/load";
import { useFilters } from "../../logic/filters";
import { ago, dateTime } from "../../logic/format";
import { texts } from "../../texts";
import { words } from "./words";
import { NEXT } from "./work";

const FILTERS = { state: "open", line: "", cause: "" };
const REFRESH_MS = 30_000;
const PAGE = 50;

const load = (state: ReviewState, line: string, cursor?: string): Promise<QueuePage> =>
  ask(
    api.GET("/api/reviews", {
      params: { query: { state, limit: PAGE, ...(line && { line }), ...(cursor && { cursor }) } },
    }),
  );

/** What waits, what was decided, and about what people disagree. */
export function Queue() {
  const [filters, change] = useFilters(FILTERS);
  const state = filters.state as ReviewState;
  const queue = useLoad(() => load(state, filters.line), [state, filters.line], REFRESH_MS);
  const places = useLoad(() => ask(api.GET("/api/places")), []);
  const lines = [...new Set(places.data?.items.map((place) => place.line))].sort();
  const start = `#/review/${NEXT}${filters.line ? `?line=${encodeURIComponent(filters.line)}` : ""}`;
  return (
    <Page
      title={words.title}
      hint={words.hint}
      actions={
        can("reviewer") && (
          <a class="button primary" href={start}>
            <Play size={18} aria-hidden="true" />
            {words.start}
          </a>
        )
      }
    >
      {!can("reviewer") && <Notice>{words.needsReviewer}</Notice>}
      <div class="filters">
        <Segments
          label={words.columns.state}
          value={state}
          options={(["open", "decided", "disagreement"] as const).map((value) => ({
            value,
            name: value === "open" && queue.data ? `${words.states.open} (${queue.data.count})` : words.states[value],
          }))}
          onChange={(value) => change({ state: value })}
        />
        <Select
          label={words.filters.line}
          all={words.filters.lines}
          value={filters.line}
          options={lines.map((value) => ({ value, name: value }))}
          onChange={(line) => change({ line })}
        />
        <Select
          label={words.filters.cause}
          all={words.filters.causes}
          value={filters.cause}
          options={Object.entries(words.causes).map(([value, name]) => ({ value, name }))}
          onChange={(cause) => change({ cause })}
        />
      </div>
      <Shown from={queue} height={320}>
        {(first) => (
          <Items
            key={`${state} ${filters.line}`}
            first={first}
            state={state}
            line={filters.line}
            cause={filters.cause}
          />
        )}
      </Shown>
    </Page>
  );
}

/** A page of items, and more of them when asked for. */
function Items({ first, state, line, cause }: { first: QueuePage; state: ReviewState; line: string; cause: string }) {
  const [more, setMore] = useState<{ items: Review[]; next: string | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const items = [...first.items, ...(more?.items ?? [])].filter((item) => !cause || item.cause === cause);
  const next = more ? more.next : first.next;

  function showMore() {
    if (!next) return;
    setBusy(true);
    load(state, line, next)
      .then((page) => setMore({ items: [...(more?.items ?? []), ...page.items], next: page.next }), toastError)
      .finally(() => setBusy(false));
  }

  return (
    <>
      {items.length === 0 ? (
        <Empty title={words.emptyTitle[state]}>
          <p>{words.empty[state]}</p>
        </Empty>
      ) : (
        <Card flush>
          <div class="table-frame">
            <table class="table hover review-table">
              <thead>
                <tr>
                  <th colSpan={2}>{words.columns.image}</th>
                  <th>{words.columns.verdict}</th>
                  <th>{state === "open" ? words.columns.cause : words.columns.decision}</th>
                  <th>{words.columns.when}</th>
                  <th />
                </tr>
              </thead>
              <tbody>
                {items.map((item) => (
                  <Row key={item.id} item={item} state={state} />
                ))}
              </tbody>
            </table>
          </div>
        </Card>
      )}
      {next && (
        <Button busy={busy} onClick={showMore}>
          {texts.common.more}
        </Button>
      )}
    </>
  );
}

function Row({ item, state }: { item: Review; state: ReviewState }) {
  const { claim } = item;
  return (
    <tr>
      <td class="review-thumb">
        <Thumbnail id={item.id} link={item.links?.thumbnail} />
      </td>
      <td>
        <a href={`#/inspections/${encodeURIComponent(item.id)}`}>{item.serial}</a>
        <div class="muted small">
          {item.line} · {item.station}
        </div>
      </td>
      <td>
        <VerdictBadge verdict={item.verdict} />
      </td>
      <td>{state === "open" ? (words.causes[item.cause] ?? item.cause) : <Decisions item={item} />}</td>
      <td class="nowrap" title={dateTime(item.received_at)}>
        {ago(state === "open" ? item.received_at : (item.decisions.at(-1)?.at ?? item.received_at))}
      </td>
      <td class="number">
        {claim && item.claimable === false ? (
          <span class="muted small">{words.claimedBy(claim.by)}</span>
        ) : (
          can("reviewer") && (
            <a class="button" href={`#/review/${encodeURIComponent(item.id)}`}>
              {state === "open" ? words.open : words.look}
            </a>
          )
        )}
      </td>
    </tr>
  );
}

function Decisions({ item }: { item: Review }) {
  return (
    <ul>
      {item.decisions.map((decision) => (
        <li key={decision.at}>
          {words.decisions[decision.verdict] ?? decision.verdict}{" "}
          <span class="muted small">
            {texts.common.by} {decision.by}
          </span>
        </li>
      ))}
      {item.disagreement && <li class="badge plain v-review">{words.disagree}</li>}
    </ul>
  );
}
