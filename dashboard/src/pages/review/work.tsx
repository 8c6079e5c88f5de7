import { CircleCheck } from "lucide-preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { ClaimedReview, ReviewVerdict } from "../../api/paths.review";
import { user } from "../../api/session";
import { Button } from "../../components/button";
import { Empty, Failed, Loading } from "../../components/states";
import { toastError } from "../../components/toasts";
import { useLoad } from "../../hooks/load";
import { useFilters } from "../../logic/filters";
import { navigate } from "../../logic/location";
import { texts } from "../../texts";
import { Decide } from "./decide";
import { forgetSkipped, leave, lookAhead, release, renewClaim, skip, skippedCount, takeNext } from "./desk";
import { decidedToday } from "./logic";
import { words } from "./words";

/** The address that claims the best image. */
export const NEXT = "next";
const FILTERS = { line: "" };
const PAGE = 100;
const REFRESH_MS = 60_000;

interface Decided {
  id: string;
  serial: string;
  verdict: ReviewVerdict;
}

/** One image after another; with an id, that image first. */
export function Work({ id }: { id: string }) {
  const [{ line }] = useFilters(FILTERS);
  const [item, setItem] = useState<ClaimedReview | null | undefined>(undefined);
  const [error, setError] = useState<unknown>(undefined);
  const [last, setLast] = useState<Decided | null>(null);
  const held = useRef<string | null>(null);
  const labels = useLoad(async () => (await ask(api.GET("/api/labels"))).items.map(({ name }) => name), []);
  const progress = useProgress(line);

  const show = useCallback(
    async (load: () => Promise<ClaimedReview | null>) => {
      setError(undefined);
      setItem(undefined);
      try {
        const next = await load();
        held.current = next?.id ?? null;
        setItem(next);
        if (next) lookAhead(line, next.id);
      } catch (failure) {
        setError(failure);
      }
    },
    [line],
  );
  const next = useCallback(() => show(() => takeNext(line)), [show, line]);
  const begin = useCallback(() => (id === NEXT ? next() : show(() => renewClaim(id))), [id, next, show]);

  useEffect(() => void begin(), [begin]);
  useEffect(() => {
    const giveBack = () => {
      if (held.current) void release(held.current);
      void leave();
    };
    window.addEventListener("pagehide", giveBack);
    return () => {
      window.removeEventListener("pagehide", giveBack);
      giveBack();
    };
  }, []);

  function done(verdict: ReviewVerdict) {
    if (!item) return;
    held.current = null;
    setLast({ id: item.id, serial: item.serial, verdict });
    progress.count();
    void next();
  }

  function skipped() {
    if (!item) return;
    held.current = null;
    skip(item.id).catch(toastError);
    void next();
  }

  return (
    <div class="review-page">
      <header class="review-head">
        <h1 class="visually-hidden">{words.title}</h1>
        <a class="button quiet" href="#/review">
          {words.toQueue}
        </a>
        <span class="grow muted clip">
          {last && (
            <>
              {words.last(last.serial, words.decisions[last.verdict] ?? last.verdict)}{" "}
              <a href={`#/review/${encodeURIComponent(last.id)}`}>{words.change}</a>
            </>
          )}
        </span>
        <output class="review-progress" aria-label={words.title}>
          {progress.text}
        </output>
      </header>
      {error !== undefined && <Failed error={error} retry={begin} />}
      {item === undefined && error === undefined && <Loading height={480} />}
      {item === null && <Finished again={next} />}
      {item && (
        <Decide
          key={item.id}
          first={item}
          labels={labels.data ?? []}
          onDone={done}
          onSkip={skipped}
          onNext={() => (id === NEXT ? void next() : navigate(`/review/${NEXT}`))}
        />
      )}
    </div>
  );
}

function Finished({ again }: { again: () => void }) {
  return (
    <Empty title={words.finished} icon={CircleCheck}>
      {skippedCount() > 0 && (
        <>
          <p>{words.skipped(skippedCount())}</p>
          <Button
            onClick={() => {
              forgetSkipped();
              again();
            }}
          >
            {words.again}
          </Button>
        </>
      )}
      <a class="button" href="#/">
        {texts.session.home}
      </a>
    </Empty>
  );
}

/** How many are left, and how many this person has decided today. */
function useProgress(line: string) {
  const [here, setHere] = useState(0);
  const open = useLoad(
    async () => {
      const query = { ...(line && { line }), limit: 1 };
      const { count, count_is_least } = await ask(api.GET("/api/reviews", { params: { query } }));
      return { count, more: count_is_least === true, at: here };
    },
    [line],
    REFRESH_MS,
  );
  const before = useLoad(async () => {
    const query = { state: "decided" as const, limit: PAGE };
    const { items, next } = await ask(api.GET("/api/reviews", { params: { query } }));
    return { count: decidedToday(items, user.value?.name ?? "", new Date()), more: next !== null };
  }, []);
  const parts = [
    open.data && words.left(Math.max(0, open.data.count - (here - open.data.at)), open.data.more),
    before.data && words.today(before.data.count + here, before.data.more && before.data.count === PAGE),
  ];
  return { text: parts.filter(Boolean).join(" · "), count: () => setHere((n) => n + 1) };
}
