/** The state machine's states as stages that people know (statemachine/retrain.asl.yaml). */

import type { RunStep } from "../../api/paths.learning";

const STATES: Readonly<Record<string, readonly string[]>> = {
  plan: ["Plan"],
  train: ["Candidates"],
  gate: ["Gate"],
  register: ["Register"],
  approval: ["AskApproval", "Approve", "Reject"],
  swap: [
    "CreateModel",
    "CreateEndpointConfig",
    "StageRules",
    "PauseForRules",
    "DescribeEndpoint",
    "WaitForEndpoint",
    "ForgetFailedScaling",
    "DeleteFailedEndpoint",
    "CreateEndpoint",
    "DescribeServingConfig",
    "DescribeAlarms",
    "WaitForAlarms",
    "PauseScaling",
    "UpdateEndpoint",
    "PauseForSwap",
    "AwaitSwap",
    "RegisterScaling",
    "PutScalingPolicy",
  ],
  smoke: ["Smoke"],
  rules: ["ApplyRules"],
  rollback: [
    "RollBack",
    "PauseForRollBack",
    "AwaitRollBack",
    "PauseScalingAgain",
    "RestoreScaling",
    "RestoreScalingPolicy",
    "ForgetScaling",
    "DeleteEndpoint",
    "PauseForDeletion",
    "Withdraw",
    "WithdrawRules",
    "Retract",
  ],
  report: ["Report", "Notice", "Explain", "NoticeFailure"],
};
/** Shown only in runs that needed them. */
const SELDOM = new Set(["approval", "rollback"]);

export interface Stage {
  readonly key: string;
  readonly status: "waiting" | "running" | "done" | "failed" | "stopped" | "skipped";
  readonly startedAt: string | null;
  readonly stoppedAt: string | null;
}

/** The stages of a run, in order. over: nothing more will happen. */
export function stagesOf(steps: readonly RunStep[], over: boolean): Stage[] {
  return Object.entries(STATES)
    .map(([key, names]) =>
      stage(
        key,
        steps.filter((step) => names.includes(step.name)),
        over,
      ),
    )
    .filter(({ key, status }) => !SELDOM.has(key) || (status !== "waiting" && status !== "skipped"));
}

function stage(key: string, steps: readonly RunStep[], over: boolean): Stage {
  const first = steps[0];
  if (!first) return { key, status: over ? "skipped" : "waiting", startedAt: null, stoppedAt: null };
  const worst = (["failed", "stopped", "running"] as const).find((status) =>
    steps.some((step) => step.status === status),
  );
  const open = steps.some((step) => step.stopped_at === null);
  const ends = steps.flatMap((step) => step.stopped_at ?? []).sort();
  return { key, status: worst ?? "done", startedAt: first.started_at, stoppedAt: open ? null : (ends.at(-1) ?? null) };
}

/** Seconds between two times; until now without an end. */
export function seconds(from: string, to: string | null, now: number): number {
  return Math.max(0, Math.round(((to ? Date.parse(to) : now) - Date.parse(from)) / 1000));
}
