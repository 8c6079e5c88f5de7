/** The rules in force, and those that a person is making from them. The draft stays while the person looks at other pages. */

import { signal } from "@preact/signals";
import { useCallback } from "preact/hooks";
import { api, ask } from "../../api/client";
import { ApiError } from "../../api/errors";
import type { RulesDocument, RulesInForce, RulesVersion } from "../../api/paths.rules";
import type { Page } from "../../api/types";
import { type Loaded, useLoad } from "../../hooks/load";
import { clashes, type Difference, differences, putOnto } from "./document";

interface Kept {
  readonly base: RulesInForce;
  readonly document: RulesDocument;
}

/** What somebody else has put into force since the draft began. */
export interface Meanwhile {
  readonly newest: RulesInForce;
  /** Null if the history does not tell. */
  readonly by: string | null;
  readonly changes: readonly Difference[];
  readonly clashes: readonly string[];
}

const kept = signal<Kept | null>(null);
const meanwhile = signal<Meanwhile | null>(null);

/** A part of the history, newest first. */
export const historyPage = (cursor?: string): Promise<Page<RulesVersion>> =>
  ask(api.GET("/api/rules/history", { params: { query: { ...(cursor && { cursor }) } } }));

const inForce = (): Promise<RulesInForce> => ask(api.GET("/api/rules"));

export interface Draft {
  readonly base: RulesInForce;
  readonly document: RulesDocument;
  readonly changes: readonly Difference[];
  readonly meanwhile: Meanwhile | null;
  readonly change: (document: RulesDocument) => void;
  readonly discard: () => void;
  /** Put one's changes onto what somebody else has put into force. */
  readonly putOnNewest: () => void;
  /** Put the draft into force. Returns whether it is; if not, `meanwhile` says why. */
  readonly save: (version: string, comment: string) => Promise<boolean>;
}

function begin(base: RulesInForce): void {
  kept.value = { base, document: base.document ?? { version: "" } };
  meanwhile.value = null;
}

/** Rules that somebody else has put into force replace an untouched draft, and are shown beside a changed one. */
async function take(newest: RulesInForce): Promise<void> {
  const now = kept.value;
  if (!now || differences(now.base.document, now.document).length === 0) begin(newest);
  else if (newest.number !== now.base.number) await notice(now, newest);
}

async function notice({ base, document }: Kept, newest: RulesInForce): Promise<void> {
  const { items } = await historyPage();
  const by = items.find(({ number }) => number === newest.number)?.by ?? null;
  const theirs = differences(base.document, newest.document);
  meanwhile.value = { newest, by, changes: theirs, clashes: clashes(differences(base.document, document), theirs) };
}

async function save(version: string, comment: string): Promise<boolean> {
  const now = kept.value;
  if (!now) return false;
  const body = { document: { ...now.document, version }, number: now.base.number, ...(comment && { comment }) };
  try {
    begin(await ask(api.PUT("/api/rules", { body })));
    return true;
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "stale_version")) throw error;
    await notice(now, await inForce());
    return false;
  }
}

/** Put the rules of an earlier version into force again. */
export async function rollBack(to: number, comment: string): Promise<void> {
  const number = kept.value?.base.number;
  if (number === undefined) return;
  const body = { to, number, ...(comment && { comment }) };
  begin(await ask(api.POST("/api/rules/rollback", { body })));
}

export function useDraft(): { loaded: Loaded<RulesInForce>; draft: Draft | null } {
  const loaded = useLoad(async () => {
    const newest = await inForce();
    await take(newest);
    return newest;
  }, []);
  const change = useCallback((document: RulesDocument) => {
    if (kept.value) kept.value = { ...kept.value, document };
  }, []);
  const now = kept.value;
  if (!now || loaded.data === undefined) return { loaded, draft: null };
  const changes = differences(now.base.document, now.document);
  const putOnNewest = () => {
    const newest = meanwhile.value?.newest;
    if (!newest?.document) return;
    kept.value = { base: newest, document: putOnto(changes, newest.document) };
    meanwhile.value = null;
  };
  const discard = () => begin(meanwhile.value?.newest ?? now.base);
  return { loaded, draft: { ...now, changes, meanwhile: meanwhile.value, change, discard, putOnNewest, save } };
}
