import { expect, it } from "vitest";
import type { Inspection } from "../api/types";
import { boxesOf } from "./boxes";

const inspection: Pick<Inspection, "reasons" | "detections"> = {
  detections: [
    { label: "scratches", score: 0.7, box: [1, 2, 3, 4] },
    { label: "patches", score: 0.496, box: [5, 6, 7, 8] },
    { label: "crazing", score: 0.05, box: [9, 10, 11, 12] },
  ],
  reasons: [
    { code: "defect", message: "defect", detection: 0, fail_score: 0.5 },
    { code: "doubtful", message: "possible defect", detection: 1, fail_score: 0.5 },
    { code: "bad_picture", message: "blurred" },
  ],
};

it("frames what decided, with defects on top", () => {
  expect(boxesOf(inspection).map(({ kind, label }) => [kind, label])).toEqual([
    ["doubtful", "patches 0.496"],
    ["defect", "scratches 0.70"],
  ]);
});

it("frames weak detections on request, below the others", () => {
  expect(boxesOf(inspection, 0)[0]).toMatchObject({ kind: "allowed", detection: 2 });
});
