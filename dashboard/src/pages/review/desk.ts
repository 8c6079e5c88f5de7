/**
 * The images that a person has claimed: the one in work, and the one after it, which is claimed ahead with its picture,
 * so that it appears at once. What was drawn on an image that was left stays until the tab is closed.
 */

import { api, ask } from "../../api/client";
import { ApiError } from "../../api/errors";
import { ownOrigin } from "../../api/links";
import type { ClaimedItem, ClaimedReview, DecisionBody, Outcome } from "../../api/paths.review";
import type { Shape } from "../../canvas/model";
import { words } from "./words";

/** The route takes this many ids to skip. */
const MOST_SKIPPED = 50;
/** A claim with less time left is renewed before it is shown. */
const FRESH_MS = 200_000;

const skipped: string[] = [];
const drafts = new Map<string, { shapes: readonly Shape[]; comment: string }>();
let ahead: { line: string; item: Promise<ClaimedReview | null> } | null = null;

const isComplete = (item: ClaimedItem): item is ClaimedReview => item.inspection !== null && item.links !== null;

export async function renewClaim(id: string): Promise<ClaimedReview> {
  const item = await ask(api.POST("/api/reviews/{identity}/claim", { params: { path: { identity: id } } }));
  if (isComplete(item)) return item;
  throw new ApiError(404, "not_found", words.recordGone);
}

export const decide = (id: string, body: DecisionBody): Promise<Outcome> =>
  ask(api.POST("/api/reviews/{identity}/decision", { params: { path: { identity: id } }, body }));

/** Give a claim back. If that fails, it ends by itself. */
export async function release(id: string): Promise<void> {
  const params = { path: { identity: id } };
  // Also while the tab is being closed.
  await api.DELETE("/api/reviews/{identity}/claim", { params, keepalive: true }).catch(() => undefined);
}

async function claimBest(line: string, but: readonly string[]): Promise<ClaimedReview | null> {
  const passed = [...but, ...skipped].slice(0, MOST_SKIPPED);
  try {
    const item = await ask(
      api.POST("/api/reviews/next", { body: { ...(line && { line }), ...(passed.length && { skip: passed }) } }),
    );
    if (isComplete(item)) return item;
    // Its record was deleted meanwhile: there is nothing to look at.
    await skip(item.id);
    return claimBest(line, but);
  } catch (error) {
    if (error instanceof ApiError && error.code === "queue_empty") return null;
    throw error;
  }
}

/** Claim the next image; null if none waits. */
export async function takeNext(line: string): Promise<ClaimedReview | null> {
  const waiting = ahead;
  ahead = null;
  const item = await waiting?.item.catch(() => null);
  if (!item) return claimBest(line, []);
  if (waiting?.line !== line) {
    void release(item.id);
    return claimBest(line, []);
  }
  if (Date.parse(item.claim?.until ?? "") - Date.now() > FRESH_MS) return item;
  return renewClaim(item.id).catch(() => claimBest(line, []));
}

/** Claim the image after this one, and load its picture. */
export function lookAhead(line: string, current: string): void {
  if (ahead) return;
  const item = claimBest(line, [current]).then((next) => {
    const source = ownOrigin(next?.links.picture);
    if (source) new Image().src = source;
    return next;
  });
  // A failure shows when the image is taken.
  item.catch(() => undefined);
  ahead = { line, item };
}

/** Give back what was claimed ahead, when the person leaves. */
export async function leave(): Promise<void> {
  const waiting = ahead;
  ahead = null;
  const item = await waiting?.item.catch(() => null);
  if (item) await release(item.id);
}

export function skip(id: string): Promise<void> {
  skipped.unshift(id);
  skipped.splice(MOST_SKIPPED - 1);
  return release(id);
}

export const skippedCount = (): number => skipped.length;

export function forgetSkipped(): void {
  skipped.length = 0;
}

export const draftOf = (id: string) => drafts.get(id);

export function keepDraft(id: string, shapes: readonly Shape[], comment: string): void {
  drafts.set(id, { shapes, comment });
}

export function dropDraft(id: string): void {
  drafts.delete(id);
}
