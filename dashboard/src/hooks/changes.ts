import { useEffect, useRef, useState } from "preact/hooks";
import { api, ask } from "../api/client";
import type { Change } from "../api/types";

const EVERY_MS = 1000;
const AT_ONCE = 100;
const SLOWEST_MS = 10_000;

/**
 * Follows the inspections of a line, or of all lines, while the page is visible.
 *
 * @param onChanges - Gets what is new, oldest first; at the beginning the last inspections.
 * @returns Whether the last question was answered. What the page shows may be old if not.
 */
export function useChanges(line: string | undefined, onChanges: (changes: Change[]) => void): boolean {
  const [connected, setConnected] = useState(true);
  const latest = useRef(onChanges);
  latest.current = onChanges;

  useEffect(() => {
    let ended = false;
    let after: string | undefined;
    let wait = EVERY_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const poll = async (): Promise<void> => {
      try {
        const query = { line, after, limit: AT_ONCE };
        const { items, next, more } = await ask(api.GET("/api/changes", { params: { query } }));
        if (ended) return;
        after = next ?? after;
        wait = more ? 0 : EVERY_MS;
        setConnected(true);
        if (items.length > 0) latest.current(items);
      } catch {
        if (ended) return;
        wait = Math.min(Math.max(wait, EVERY_MS) * 2, SLOWEST_MS);
        setConnected(false);
      }
      if (!document.hidden) timer = setTimeout(poll, wait);
      else timer = undefined;
    };
    const visible = (): void => {
      if (!document.hidden && timer === undefined) timer = setTimeout(poll, 0);
    };
    document.addEventListener("visibilitychange", visible);
    timer = setTimeout(poll, 0);
    return () => {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", visible);
    };
  }, [line]);

  return connected;
}
