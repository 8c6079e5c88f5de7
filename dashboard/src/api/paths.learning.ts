// The routes of data sets, trainings and models.
import type { Get, None, Post } from "./paths";
import type { Box, HistoryEntry } from "./types";

export const PARTS = ["train", "validation", "test"] as const;
export type Part = (typeof PARTS)[number];

export interface DatasetSummary {
  name: string;
  snapshots: number;
  updated_at: string;
  /** The one that the stack trains on, and that reviewed labels belong to. */
  own: boolean;
}

/** An image that is not in a snapshot. */
export interface LeftOut {
  file_name?: string;
  uri?: string;
  reason?: string;
  [other: string]: unknown;
}

export interface Snapshot {
  id: string;
  format?: string | null;
  previous?: string | null;
  stored_at: string;
  images: number;
  parts: Record<Part, number>;
  labels: Record<string, { objects: number; images: Record<Part, number> }>;
  /** Images without an object. */
  good: number;
  left_out: LeftOut[];
  left_out_count: number;
}

export interface Dataset {
  name: string;
  own: boolean;
  snapshots: Snapshot[];
}

export interface RunSummary {
  name: string;
  run: string | null;
  status: "running" | "succeeded" | "failed" | "stopped";
  trigger: string;
  started_at: string;
  stopped_at: string | null;
  decision: string | null;
  reasons: string[];
  version: number | null;
  /** The best of the run's models; of whole pictures, as of boxes. */
  map: number | null;
  image_auroc: number | null;
}

export interface RunStep {
  name: string;
  status: "running" | "done" | "failed" | "stopped";
  started_at: string;
  stopped_at: string | null;
}

export interface RunJob {
  name: string;
  family: string | null;
  status: "waiting" | "training" | "tuning" | "evaluating" | "done" | "failed";
  detail: string;
  epoch: number | null;
  epochs: number | null;
  curves: Record<string, [epoch: number, value: number][]>;
}

/** What the report says about a model of the run. */
export interface Candidate {
  id?: string;
  family?: string | null;
  tuned?: boolean | null;
  map?: number | null;
  map_interval?: [number, number] | null;
  map50?: number | null;
  image_auroc?: number | null;
  image_auroc_interval?: [number, number] | null;
  caught_at_zero_overkill?: number | null;
  escape_rate?: Measured | number | null;
  overkill_rate?: Measured | number | null;
  cost_usd?: number | null;
  seconds?: number | null;
  promotable?: boolean | null;
  error?: string | null;
}

export interface Run extends RunSummary {
  dataset: string | null;
  request: Record<string, unknown>;
  steps: RunStep[];
  jobs: RunJob[];
  waiting_for_approval: boolean;
  candidates: Candidate[];
  champion: Candidate | null;
  report: string | null;
  evaluation: string | null;
  history: HistoryEntry[];
}

export interface StartRun {
  families?: string[];
  epochs?: number;
  tune?: boolean;
  dataset?: string;
  force?: boolean;
}

export interface Measured {
  value: number | null;
  interval?: [number, number] | null;
}

export interface Model {
  version: number;
  package_arn: string;
  status: "serving" | "former" | "rejected" | "pending";
  family: string | null;
  created_at: string;
  serving_since: string | null;
  run: string | null;
  dataset: string | null;
  rules_version: string | null;
  /** As the inspections name it. */
  model_version: string | null;
  metrics: {
    map?: number | null;
    map_interval?: [number, number] | null;
    map50?: number | null;
    map75?: number | null;
    /** How well the scores of whole images tell good from defective: 0.5 is chance, 1 is always. */
    image_auroc?: number | null;
    image_auroc_interval?: [number, number] | null;
    /** The share of defective images that score above every good one. */
    caught_at_zero_overkill?: number | null;
    good_images?: number | null;
    defective_images?: number | null;
    escape_rate?: Measured | null;
    overkill_rate?: Measured | null;
    latency?: { p50_ms?: number; p95_ms?: number } | null;
    images?: number | null;
  };
  per_class: Record<string, { ap?: number | null; ap50?: number | null; objects?: number | null }>;
}

export interface SeenPicture {
  link: string;
  /** Of the defects that people have labelled. */
  labels: string[];
  /** Of each model, in their order. */
  detections: { label: string; score: number; box: Box }[][];
}

export interface Comparison {
  models: Model[];
  pictures: SeenPicture[];
}

export interface LearningPaths {
  "/api/datasets": Get<{ items: DatasetSummary[] }>;
  "/api/datasets/{name}": Get<Dataset, None, { name: string }>;
  "/api/runs": Get<{ items: RunSummary[] }, { limit?: number }> & Post<{ name: string }, StartRun>;
  "/api/runs/{name}": Get<Run, None, { name: string }>;
  "/api/runs/{name}/approval": Post<unknown, { approve: boolean; comment?: string }, { name: string }>;
  "/api/models": Get<{ items: Model[] }>;
  "/api/models/compare": {
    get: {
      parameters: { query: { versions: string } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": Comparison } } };
    };
  };
  "/api/models/rollback": Post<{ name: string; from: number | null; to: number }, { to?: number }>;
}
