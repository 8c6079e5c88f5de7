import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ANOMALY_MODELS, DETECTORS, requestOf, trainsBoth, trainsDetectors } from "./families";

const [anomaly = ""] = ANOMALY_MODELS;

test("every family that a run can train is offered, in its kind", () => {
  const { families } = JSON.parse(readFileSync("../functions/retraining/families.json", "utf8"));
  expect(DETECTORS).toEqual(Object.keys(families).sort());
  const contract = readFileSync("../contract/families.py", "utf8");
  const named = /^ANOMALY_FAMILIES = \((.*)\)$/m.exec(contract)?.[1] ?? "";
  expect(named.match(/\w+/g)).toEqual(ANOMALY_MODELS);
});

test("epochs and tuning are asked for detectors only, and kept until the choice is made", () => {
  const wanted = { families: [anomaly], epochs: 5, tune: true, force: true };
  expect(trainsDetectors(wanted)).toBe(false);
  expect(requestOf(wanted)).toEqual({ families: [anomaly], force: true });
  const both = { ...wanted, families: [anomaly, "ssdlite"] };
  expect([trainsDetectors(both), trainsBoth(both)]).toEqual([true, true]);
  expect(requestOf(both)).toEqual(both);
});

test("without a choice the stack's families are trained, which may be detectors", () => {
  expect([trainsDetectors({}), trainsDetectors({ families: [] }), trainsBoth({})]).toEqual([true, true, false]);
});
