import { useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
  /** Replaces the data after a change that the page made itself. */
  set: (data: T) => void;
}

/**
 * Loads what a page shows, again when `deps` change; an answer that comes too late is dropped.
 *
 * The former data stays while newer is loaded, so that a page does not flicker; `every` (ms) also repeats it while the
 * page is visible.
 */
export function useLoad<T>(load: () => Promise<T>, deps: unknown[], every?: number): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;

  // The caller's `deps` say when to load again.
  useEffect(() => {
    let current = true;
    setState((before) => ({ data: before.data, loading: true }));
    latest.current().then(
      (data) => current && setState({ data, loading: false }),
      (error: unknown) => current && setState((before) => ({ data: before.data, error, loading: false })),
    );
    return () => {
      current = false;
    };
  }, [...deps, turn]);

  useEffect(() => {
    if (!every) return;
    const timer = setInterval(() => {
      if (!document.hidden) setTurn((n) => n + 1);
    }, every);
    return () => clearInterval(timer);
  }, [every]);

  return {
    data: state.data,
    error: state.error,
    loading: state.loading,
    reload: () => setTurn((n) => n + 1),
    set: (data) => setState({ data, loading: false }),
  };
}
