// The routes of the rules: the document in force, what another one would do, and who changed it.
import type { Get, Post, Put } from "./paths";
import type { Page, Rate, Verdict } from "./types";

export interface ClassRule {
  fail_score?: number;
  review_score?: number;
  smallest_area?: number;
  largest_area?: number;
  allowed_count?: number;
  severity?: string;
  /** What a defect of the class makes of the product. */
  verdict?: string;
}

/** A polygon in shares of the upright picture's width and height. */
export type Polygon = [x: number, y: number][];

export interface Zones {
  regions?: Polygon[];
  ignored?: Polygon[];
}

/** What is not named here stays as it is when the dashboard changes a document. */
export interface RulesDocument {
  version: string;
  default?: ClassRule;
  classes?: Record<string, ClassRule>;
  lines?: Record<string, Record<string, ClassRule>>;
  zones?: Record<string, Zones>;
  [other: string]: unknown;
}

export interface RulesInForce {
  /** Counts the changes. */
  number: number;
  /** Null, as the document, if the rules in force are not valid. */
  version: string | null;
  document: RulesDocument | null;
  notes: string[];
}

export interface RulesChange {
  place: string;
  before?: unknown;
  after?: unknown;
}

export interface RulesVersion {
  number: number;
  version: string | null;
  when: string;
  by: string | null;
  comment?: string | null;
  document: RulesDocument | null;
  changes: RulesChange[];
}

export interface Histogram {
  /** One more than there are bars. */
  edges: number[];
  /** People have decided that the class is not there. */
  accepted: number[];
  /** People have found the class. */
  rejected: number[];
  undecided: number[];
}

export interface Scores {
  fail_score: number;
  review_score: number;
}

export interface Move {
  from: Verdict;
  to: Verdict;
  count: number;
  ids: string[];
}

export interface Preview {
  inspected: number;
  current: Partial<Record<Verdict, number>>;
  proposed: Partial<Record<Verdict, number>>;
  moves: Move[];
  escape: { current: Rate; proposed: Rate };
  overkill: { current: Rate; proposed: Rate };
  by_label: Record<string, { histogram: Histogram; current: Scores | null; proposed: Scores }>;
  notes: string[];
}

export interface Proposal {
  document: RulesDocument;
  by_label: Record<string, Scores & { escape: Rate; overkill: Rate; decided: number }>;
  notes: string[];
  preview: Preview;
}

export interface RulesPaths {
  "/api/rules": Get<RulesInForce> & Put<RulesInForce, { document: RulesDocument; number: number; comment?: string }>;
  "/api/rules/history": Get<Page<RulesVersion>, { cursor?: string }>;
  "/api/rules/preview": Post<Preview, { document: RulesDocument; last?: number; line?: string }>;
  "/api/rules/proposal": Post<Proposal, { escape: number; overkill?: number; last?: number; line?: string }>;
  "/api/rules/rollback": Post<RulesInForce, { to: number; number: number; comment?: string }>;
}
