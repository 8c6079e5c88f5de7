/** The preview of a draft: asked for when the draft has rested, one at a time, because the answer takes seconds. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { Preview, RulesDocument } from "../../api/paths.rules";
import type { Loaded } from "../../hooks/load";

const REST_MS = 250;
/** How many of the last images are judged again. */
export const LAST = 1000;

interface Answer {
  /** What was asked. */
  readonly key: string;
  readonly data?: Preview;
  readonly error?: unknown;
}

const NOTHING: Answer = { key: "" };

/** The newest preview; `stale` while one of the present draft is on its way. */
export function usePreview(document: RulesDocument, line: string): { loaded: Loaded<Preview>; stale: boolean } {
  const key = JSON.stringify([document, line]);
  const [answer, setAnswer] = useState(NOTHING);
  const latest = useRef({ key, document, line });
  latest.current = { key, document, line };
  const running = useRef(false);
  const gone = useRef(false);

  const request = useCallback(async () => {
    if (running.current) return;
    running.current = true;
    const asked = latest.current;
    const body = { document: asked.document, last: LAST, ...(asked.line && { line: asked.line }) };
    const outcome = await ask(api.POST("/api/rules/preview", { body })).then(
      (data) => ({ data }),
      (error: unknown) => ({ error }),
    );
    running.current = false;
    if (!gone.current) setAnswer((before) => ({ key: asked.key, data: before.data, ...outcome }));
  }, []);

  // An answer to an older draft asks again, for the present one.
  useEffect(() => {
    if (answer.key === key) return;
    const timer = setTimeout(request, REST_MS);
    return () => clearTimeout(timer);
  }, [answer, key, request]);

  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
    };
  }, []);

  const stale = answer.key !== key;
  const { data, error } = answer;
  const reload = () => setAnswer((before) => ({ key: "", data: before.data }));
  return { loaded: { data, error, loading: stale, reload, set: () => undefined }, stale };
}
