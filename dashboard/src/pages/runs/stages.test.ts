import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { RunStep } from "../../api/paths.learning";
import { seconds, stagesOf } from "./stages";

const step = (name: string, status: RunStep["status"], stopped: string | null = "2026-01-01T00:01:00Z"): RunStep => ({
  name,
  status,
  started_at: "2026-01-01T00:00:00Z",
  stopped_at: stopped,
});
const shown = (steps: RunStep[], over = false) =>
  Object.fromEntries(stagesOf(steps, over).map(({ key, status }) => [key, status]));

test("a stage runs while one of its states does, and those after it wait", () => {
  const stages = shown([
    step("Plan", "done"),
    step("Candidates", "done"),
    step("CreateModel", "done"),
    step("AwaitSwap", "running", null),
  ]);
  expect(stages).toMatchObject({ plan: "done", train: "done", swap: "running", smoke: "waiting", report: "waiting" });
});

test("approval and roll back are shown only in runs that came there", () => {
  expect(shown([step("Plan", "done")])).not.toHaveProperty("approval");
  expect(shown([step("AskApproval", "running", null)])).toMatchObject({ approval: "running" });
  expect(shown([step("RollBack", "done")], true)).toMatchObject({ rollback: "done" });
});

test("a run that is over has no stage that waits", () => {
  expect(Object.values(shown([step("Plan", "done"), step("Candidates", "failed")], true))).not.toContain("waiting");
});

test("every state of the state machine that takes time belongs to a stage", () => {
  const machine = JSON.parse(readFileSync("../statemachine/retrain.asl.json", "utf8"));
  const states = Object.entries(machine.States as Record<string, { Type: string }>);
  const lasting = states
    .filter(([, { Type }]) => ["Task", "Map", "Parallel", "Wait"].includes(Type))
    .map(([name]) => name);
  const unknown = lasting.filter((name) =>
    stagesOf([step(name, "running")], false).every(({ status }) => status !== "running"),
  );
  expect(unknown).toEqual([]);
});

test("a duration ends with the stage, or now", () => {
  expect(seconds("2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z", 0)).toBe(90);
  expect(seconds("2026-01-01T00:00:00Z", null, Date.parse("2026-01-01T00:00:05Z"))).toBe(5);
});
