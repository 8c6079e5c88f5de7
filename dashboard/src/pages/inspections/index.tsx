import { Download, LayoutGrid, List, SearchX, X } from "lucide-preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ask, download } from "../../api/client";
import type { Inspection, Verdict } from "../../api/types";
import { Button } from "../../components/button";
import { SearchField, Segments, Select } from "../../components/fields";
import { Page } from "../../components/page";
import { RangePicker } from "../../components/range";
import { Empty, Failed, Loading } from "../../components/states";
import { toast, toastError } from "../../components/toasts";
import { VerdictIcon } from "../../components/verdict";
import { useLoad } from "../../hooks/load";
import { type Filters, sent, useFilters, writeFilters } from "../../logic/filters";
import { shortVersion } from "../../logic/format";
import { path } from "../../logic/location";
import { keepResults, keepScroll, keptResults, keptScroll } from "../../logic/results";
import { stored } from "../../logic/stored";
import { texts } from "../../texts";
import { Gallery } from "./gallery";
import { Table } from "./table";

const DEFAULTS = {
  serial: "",
  verdict: "",
  line: "",
  station: "",
  defect: "",
  model: "",
  since: "7d",
  until: "",
};
type Search = Filters<keyof typeof DEFAULTS>;
const PAGE = 48;
const PRESETS = ["1h", "8h", "24h", "7d", "30d", "90d"];
const VERDICTS: Verdict[] = ["fail", "review", "pass", "unreadable"];
const view = stored("view", ["gallery", "table"]);

const unique = (names: string[]): string[] => [...new Set(names)].sort();

/** Search in all inspections. */
export default function Inspections() {
  const [search, change] = useFilters(DEFAULTS);
  const found = useSearch(search);
  return (
    <Page
      title={texts.inspections.title}
      hint={texts.inspections.hint}
      actions={
        <>
          <Segments
            label={texts.inspections.view}
            value={view.value}
            options={[
              { value: "gallery", name: <LayoutGrid size={18} />, title: texts.inspections.gallery },
              { value: "table", name: <List size={18} />, title: texts.inspections.table },
            ]}
            onChange={(value) => {
              view.value = value;
            }}
          />
          <Export search={search} />
        </>
      }
    >
      <FilterBar search={search} change={change} />
      <Results found={found} clear={() => change(DEFAULTS)} />
    </Page>
  );
}

function FilterBar({ search, change }: { search: Search; change: (changed: Partial<Search>) => void }) {
  const places = useLoad(() => ask(api.GET("/api/places")), []).data?.items ?? [];
  const labels = useLoad(() => ask(api.GET("/api/labels")), []).data?.items ?? [];
  const setSerial = useRef((serial: string) => change({ serial }));
  setSerial.current = (serial) => change({ serial });
  const [onSerial] = useState(() => (serial: string) => setSerial.current(serial));
  const changed = Object.entries(DEFAULTS).some(([name, value]) => search[name as keyof Search] !== value);
  const ofLine = places.filter((place) => !search.line || place.line === search.line);
  const options = (names: string[]) => unique(names).map((name) => ({ value: name, name }));
  return (
    <div class="stack tight">
      <div class="filters">
        <Segments
          label={texts.inspections.verdict}
          value={search.verdict}
          options={[
            { value: "", name: texts.common.all },
            ...VERDICTS.map((verdict) => ({
              value: verdict as string,
              name: (
                <>
                  <VerdictIcon verdict={verdict} />
                  {texts.verdicts[verdict]}
                </>
              ),
            })),
          ]}
          onChange={(verdict) => change({ verdict })}
        />
        <RangePicker range={search} presets={PRESETS} onChange={change} />
        {changed && (
          <Button kind="quiet" icon={X} onClick={() => change(DEFAULTS)}>
            {texts.common.clear}
          </Button>
        )}
      </div>
      <div class="filters">
        <SearchField label={texts.inspections.serial} value={search.serial} onChange={onSerial} />
        <Select
          label={texts.inspections.line}
          all={texts.inspections.allLines}
          value={search.line}
          options={options(places.map((place) => place.line))}
          onChange={(line) => change({ line, station: "" })}
        />
        <Select
          label={texts.inspections.station}
          all={texts.inspections.allStations}
          value={search.station}
          options={options(ofLine.map((place) => place.station))}
          onChange={(station) => change({ station })}
        />
        <Select
          label={texts.inspections.defect}
          all={texts.inspections.allDefects}
          value={search.defect}
          options={options(labels.map((label) => label.name))}
          onChange={(defect) => change({ defect })}
        />
        <Select
          label={texts.inspections.model}
          all={texts.inspections.allModels}
          value={search.model}
          options={unique(ofLine.flatMap((place) => place.models)).map((value) => ({
            value,
            name: shortVersion(value),
          }))}
          onChange={(model) => change({ model })}
        />
      </div>
    </div>
  );
}

interface Found {
  items: Inspection[];
  next: string | null;
  loading: boolean;
  error: unknown;
  more: () => void;
}

/** The results of a search, page after page. */
function useSearch(search: Search): Found {
  const key = JSON.stringify(search);
  const [state, setState] = useState<Omit<Found, "more">>(() => {
    const kept = keptResults(key);
    return { items: kept?.items ?? [], next: kept?.next ?? null, loading: !kept, error: undefined };
  });
  const current = useRef(key);
  current.current = key;

  const load = (cursor?: string): void => {
    setState((before) => ({ ...before, loading: true, error: undefined, items: cursor ? before.items : [] }));
    const query = { ...(sent(search) as object), limit: PAGE, cursor };
    ask(api.GET("/api/inspections", { params: { query } })).then(
      ({ items, next }) => {
        // The search may have changed meanwhile.
        if (current.current !== key) return;
        setState((before) => ({
          items: cursor ? [...before.items, ...items] : items,
          next: next ?? null,
          loading: false,
          error: undefined,
        }));
      },
      (error: unknown) => {
        if (current.current === key) setState((before) => ({ ...before, loading: false, error }));
      },
    );
  };
  // The key stands for the search.
  useEffect(() => {
    if (keptResults(key)) requestAnimationFrame(() => window.scrollTo(0, keptScroll()));
    else load();
  }, [key]);
  useEffect(() => {
    if (!state.loading) keepResults(key, path.value + writeFilters(search, DEFAULTS), state.items, state.next);
  }, [state]);
  useEffect(() => () => keepScroll(), []);
  return { ...state, more: () => load(state.next ?? undefined) };
}

function Results({ found, clear }: { found: Found; clear: () => void }) {
  const { items, next, loading, error, more } = found;
  return (
    <>
      {items.length > 0 && (view.value === "table" ? <Table items={items} /> : <Gallery items={items} />)}
      {error !== undefined && <Failed error={error} retry={more} />}
      {loading && <Loading height={items.length > 0 ? 56 : 320} />}
      {!loading && error === undefined && items.length === 0 && next === null && (
        <Empty title={texts.inspections.nothing} icon={SearchX}>
          <p>{texts.inspections.nothingHint}</p>
          <Button icon={X} onClick={clear}>
            {texts.common.clear}
          </Button>
        </Empty>
      )}
      {!loading && next !== null && <More count={items.length} onMore={more} />}
    </>
  );
}

/** The end of what is loaded; more comes when it comes into view, or on request. */
function More({ count, onMore }: { count: number; onMore: () => void }) {
  const button = useRef<HTMLDivElement>(null);
  const latest = useRef(onMore);
  latest.current = onMore;
  useEffect(() => {
    const seen = new IntersectionObserver((entries) => entries[0]?.isIntersecting && latest.current(), {
      rootMargin: "600px",
    });
    if (button.current) seen.observe(button.current);
    return () => seen.disconnect();
  }, []);
  return (
    <div class="more" ref={button}>
      <span class="muted small">{texts.inspections.shown(count)}</span>
      <Button onClick={onMore}>{texts.common.more}</Button>
    </div>
  );
}

function Export({ search }: { search: Search }) {
  const [busy, setBusy] = useState(false);
  const run = (): void => {
    setBusy(true);
    download("/api/exports/inspections.csv", sent(search) as Record<string, string>, "inspections.csv")
      .then(
        (headers) => toast(headers.get("X-Next-Cursor") ? texts.inspections.exportedPart : texts.inspections.exported),
        toastError,
      )
      .finally(() => setBusy(false));
  };
  return (
    <Button icon={Download} busy={busy} onClick={run}>
      {texts.inspections.export}
    </Button>
  );
}
