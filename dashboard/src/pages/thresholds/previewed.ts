/** The preview of a draft: asked for when the draft has rested, and shown as old while a newer one is on its way. */

import { useEffect, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { Preview, RulesDocument } from "../../api/paths.rules";
import { type Loaded, useLoad } from "../../hooks/load";

const REST_MS = 250;
/** How many of the last images are judged again. */
export const LAST = 1000;

export function usePreview(document: RulesDocument, line: string): { loaded: Loaded<Preview>; stale: boolean } {
  const text = JSON.stringify(document);
  const [rested, setRested] = useState({ text, document });
  useEffect(() => {
    if (rested.text === text) return;
    const timer = setTimeout(() => setRested({ text, document }), REST_MS);
    return () => clearTimeout(timer);
  });
  const loaded = useLoad(() => {
    const body = { document: rested.document, last: LAST, ...(line && { line }) };
    return ask(api.POST("/api/rules/preview", { body }));
  }, [rested.text, line]);
  return { loaded, stale: loaded.loading || rested.text !== text };
}
