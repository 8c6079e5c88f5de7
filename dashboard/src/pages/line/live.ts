// What the page of a line follows: the newest inspection, the counts of the shift, and the last bad products.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import { ownOrigin } from "../../api/links";
import type { Change, Inspection, Statistics } from "../../api/types";
import { useChanges } from "../../hooks/changes";
import { type Loaded, useLoad } from "../../hooks/load";
import { shiftStart } from "../../logic/shift";

const COUNT_EVERY_MS = 3000;
const STRIP = 12;

export interface Live {
  connected: boolean;
  newest: Change | null;
  counts: Loaded<Statistics>;
  failed: Loaded<Inspection[]>;
}

/** Follows a line. `onFail` gets each bad product that comes while the page is open. */
export function useLive(line: string, station: string, shift: string, onFail: (change: Change) => void): Live {
  const [newest, setNewest] = useState<Change | null>(null);
  const first = useRef(true);
  const counts = useLoad(() => countsOf(line, station, shift), [line, station, shift], 30_000);
  const failed = useLoad(() => failedOf(line, station), [line, station], 60_000);
  const recount = useThrottled(counts.reload, COUNT_EVERY_MS);

  // Another line or station begins anew.
  useEffect(() => {
    first.current = true;
    setNewest(null);
  }, [line, station]);

  const connected = useChanges(line, (changes) => {
    const ours = changes.filter((change) => !station || change.station === station);
    const last = ours.at(-1);
    if (!last) return;
    // One that was counted late may come behind newer ones.
    setNewest((before) => (before && before.inspected_at > last.inspected_at ? before : last));
    // The first answer tells what was there before the page was opened.
    if (first.current) {
      first.current = false;
      return;
    }
    recount();
    const bad = ours.filter((change) => change.verdict === "fail");
    if (bad.length > 0) failed.reload();
    for (const change of bad) onFail(change);
  });
  return { connected, newest, counts, failed };
}

function countsOf(line: string, station: string, shift: string): Promise<Statistics> {
  const query = { line, station: station || undefined, by: "hour" as const, since: shiftStart(shift).toISOString() };
  return ask(api.GET("/api/statistics", { params: { query } }));
}

async function failedOf(line: string, station: string): Promise<Inspection[]> {
  const query = { line, station: station || undefined, verdict: "fail" as const, since: "7d", limit: STRIP };
  return (await ask(api.GET("/api/inspections", { params: { query } }))).items;
}

/** An inspection with its picture already in the browser, so that verdict and picture change together. */
export async function withPicture(id: string): Promise<Inspection> {
  const inspection = await ask(api.GET("/api/inspections/{identity}", { params: { path: { identity: id } } }));
  const source = ownOrigin(inspection.links.picture);
  if (source) {
    const image = new Image();
    image.src = source;
    // A picture that cannot be shown must not hide the verdict.
    await image.decode().catch(() => undefined);
  }
  return inspection;
}

/** Runs at once, and then at most every `ms`; the last call is never lost. */
function useThrottled(run: () => void, ms: number): () => void {
  const latest = useRef(run);
  latest.current = run;
  const state = useRef({ last: 0, timer: undefined as ReturnType<typeof setTimeout> | undefined });
  useEffect(() => () => clearTimeout(state.current.timer), []);
  return useCallback(() => {
    const { current } = state;
    if (current.timer !== undefined) return;
    current.timer = setTimeout(
      () => {
        current.timer = undefined;
        current.last = Date.now();
        latest.current();
      },
      Math.max(0, current.last + ms - Date.now()),
    );
  }, [ms]);
}
