// The routes that the pages call, in the form that openapi-fetch reads.

import type { LearningPaths } from "./paths.learning";
import type { ReviewPaths } from "./paths.review";
import type { RulesPaths } from "./paths.rules";
import type {
  Change,
  Health,
  Inspection,
  InspectionDetails,
  Page,
  Place,
  Rates,
  Statistics,
  User,
  Verdict,
} from "./types";

export type Answer<T> = { 200: { headers: Record<string, unknown>; content: { "application/json": T } } };
export type None = Record<never, never>;
export type Inputs<Query, Path> = (Query extends None ? { query?: Query } : never) &
  (keyof Path extends never ? { path?: never } : { path: Path });
export type Get<T, Query = None, Path = None> = {
  get: { parameters: Inputs<Query, Path>; responses: Answer<T> };
};
export type Post<T, Body = None, Path = None> = {
  post: {
    parameters: Inputs<None, Path>;
    requestBody?: keyof Body extends never ? never : { content: { "application/json": Body } };
    responses: Answer<T>;
  };
};

export type Put<T, Body> = {
  put: { parameters: Inputs<None, None>; requestBody: { content: { "application/json": Body } }; responses: Answer<T> };
};

export interface InspectionFilter {
  line?: string;
  station?: string;
  serial?: string;
  verdict?: Verdict;
  defect?: string;
  model?: string;
  since?: string;
  until?: string;
  limit?: number;
  cursor?: string;
}

export interface StatisticsFilter {
  since?: string;
  until?: string;
  by?: "hour" | "day";
  line?: string;
  station?: string;
  model?: string;
}

export interface Paths extends ReviewPaths, RulesPaths, LearningPaths {
  "/api/session": Get<{ user: User }>;
  "/api/places": Get<{ items: Place[] }>;
  "/api/inspections": Get<Page<Inspection>, InspectionFilter>;
  "/api/inspections/{identity}": Get<InspectionDetails, None, { identity: string }>;
  "/api/serials/{serial}": Get<{ items: Inspection[] }, None, { serial: string }>;
  "/api/inspections/thumbnails": Post<{ items: { id: string; thumbnail: string | null }[] }, { ids: string[] }>;
  "/api/inspections/{identity}/acknowledgement": Post<Inspection, None, { identity: string }>;
  "/api/statistics": Get<Statistics, StatisticsFilter>;
  "/api/statistics/rates": Get<
    Rates,
    { since?: string; until?: string; line?: string; label?: string; model?: string }
  >;
  "/api/labels": Get<{ items: { name: string; images: number }[] }>;
  "/api/changes": Get<Page<Change> & { more: boolean }, { after?: string; line?: string; limit?: number }>;
  "/api/health": Get<Health>;
}
