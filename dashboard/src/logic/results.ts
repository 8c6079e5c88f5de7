// What the last search found, so that one can go through it picture by picture, and come back to where one was.
import type { Inspection } from "../api/types";

// Links to pictures are good for an hour, and what is new should not be missed for long.
const FRESH_MS = 5 * 60_000;

interface Results {
  key: string;
  address: string;
  items: Inspection[];
  next: string | null;
  at: number;
}

let results: Results | null = null;
let scroll = 0;

/** Keeps what was found. `key` stands for the search, `address` leads back to it. */
export function keepResults(key: string, address: string, items: Inspection[], next: string | null): void {
  results = { key, address, items, next, at: results?.key === key ? results.at : Date.now() };
}

/** What this search has found, if it was the last one and not long ago. */
export const keptResults = (key: string): Results | null =>
  results && results.key === key && Date.now() - results.at < FRESH_MS ? results : null;

export const keptScroll = (): number => scroll;

export function keepScroll(): void {
  scroll = window.scrollY;
}

export interface Neighbours {
  address: string;
  position: number;
  count: number;
  before: string | null;
  after: string | null;
}

/** The place of an inspection in the last search; `null` if it was not among the results. */
export function neighboursOf(id: string): Neighbours | null {
  if (!results) return null;
  const position = results.items.findIndex((inspection) => inspection.id === id);
  if (position < 0) return null;
  return {
    address: results.address,
    position: position + 1,
    count: results.items.length,
    before: results.items[position - 1]?.id ?? null,
    after: results.items[position + 1]?.id ?? null,
  };
}
