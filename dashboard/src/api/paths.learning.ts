// The routes of data sets, trainings and models.
import type { Get, None, Post } from "./paths";
import type { Page } from "./types";

export interface Run {
  name: string;
  status: string;
  trigger?: string | null;
  started_at: string;
  stopped_at?: string | null;
  dataset?: string | null;
  steps: RunStep[];
  jobs: RunJob[];
  decision?: string | null;
  reasons?: string[] | null;
  waiting_for_approval: boolean;
  report?: string | null;
}

export interface RunStep {
  name: string;
  status: string;
  started_at?: string | null;
  stopped_at?: string | null;
}

export interface RunJob {
  name: string;
  family: string;
  status: string;
  epoch?: number | null;
  curves: Record<string, [step: number, value: number][]>;
}

export interface StartRun {
  families?: string[];
  epochs?: number;
  tune?: boolean;
  dataset?: string;
  force?: boolean;
}

export interface Model {
  version: string;
  package_arn: string;
  status: string;
  family: string;
  created_at: string;
  serving_since?: string | null;
  run?: string | null;
  metrics: Record<string, unknown>;
  per_class: Record<string, Record<string, unknown>>;
  rules_version?: string | null;
}

export interface LearningPaths {
  "/api/runs": Get<Page<Run>> & Post<{ name: string }, StartRun>;
  "/api/runs/{name}": Get<Run, None, { name: string }>;
  "/api/runs/{name}/approval": Post<Run, { approve: boolean; comment?: string }, { name: string }>;
  "/api/models": Get<Page<Model>>;
  "/api/models/rollback": Post<unknown, { to?: string }>;
}
