// The routes of the review queue and of the labels.
import type { Answer, Get, Inputs, None, Post } from "./paths";
import type { Inspection, Links, Page, Review, ReviewObject } from "./types";

export type ReviewState = "open" | "decided" | "disagreement";
export type ReviewVerdict = "pass" | "fail" | "unusable";

export interface ReviewFilter {
  line?: string;
  state?: ReviewState;
  limit?: number;
  cursor?: string;
}

export interface QueuePage extends Page<Review> {
  /** Open items, of the line that is asked for. */
  count: number;
  /** There may be more than were counted. */
  count_is_least?: boolean;
}

/** An item that was claimed. Without an inspection, its record was deleted meanwhile. */
export interface ClaimedItem extends Review {
  inspection: Inspection | null;
  links: Links | null;
}

/** An item that was claimed, with all that is needed to decide it. */
export interface ClaimedReview extends ClaimedItem {
  inspection: Inspection;
  links: Links;
}

/** A decision that was written. */
export interface Outcome extends Review {
  /** Why nothing is learned from it, as a sentence. */
  no_label?: string | null;
}

export interface DecisionBody {
  version: number;
  verdict: ReviewVerdict;
  objects: ReviewObject[];
  comment?: string;
}

export interface Label {
  name: string;
  images: number;
}

export interface ReviewPaths {
  "/api/reviews": Get<QueuePage, ReviewFilter>;
  "/api/reviews/next": Post<ClaimedItem, { line?: string; skip?: string[] }>;
  "/api/reviews/{identity}/claim": Post<ClaimedItem, None, { identity: string }> & {
    delete: { parameters: Inputs<None, { identity: string }>; responses: Answer<null> };
  };
  "/api/reviews/{identity}/decision": Post<Outcome, DecisionBody, { identity: string }>;
  "/api/labels": Get<{ items: Label[] }>;
}
