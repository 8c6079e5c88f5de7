import { describe, expect, test } from "vitest";
import type { Decision, Inspection } from "../../api/types";
import { apply, start } from "../../canvas/model";
import { bodyOf, countdown, decidedToday, labelsFor, layersOf, shapesOf, verdictOf, weakerOf } from "./logic";

const found: Pick<Inspection, "detections" | "reasons"> = {
  detections: [
    { label: "scratch", score: 0.91, box: [10, 10, 40, 20] },
    { label: "dent", score: 0.42, box: [50, 50, 60, 70] },
    { label: "stain", score: 0.11, box: [0, 0, 5, 5] },
  ],
  reasons: [
    { code: "defect", message: "defect: scratch 0.91", label: "scratch", detection: 0 },
    { code: "doubtful", message: "possible defect: dent 0.42", label: "dent", detection: 1 },
    { code: "bad_picture", message: "blurred" },
    { code: "ignored", message: "stain lies in an ignored zone", detection: 2 },
  ],
};
const size = { width: 100, height: 100 };
const decision = (by: string, at: string, verdict: Decision["verdict"] = "fail"): Decision => ({
  by,
  at,
  verdict,
  objects: [{ label: "scratch", box: [1, 2, 3, 4] }],
});

test("the boxes to start with are those that count, and doubtful ones are marked", () => {
  expect(shapesOf(found).map(({ id, mark }) => [id, mark])).toEqual([
    ["model-0", "defect"],
    ["model-1", "doubtful"],
  ]);
  expect(weakerOf(found).map(({ label }) => label)).toEqual(["stain"]);
});

describe("what is sent", () => {
  const editor = start(size, shapesOf(found));

  test("is defective with all boxes as they are shown", () => {
    expect(verdictOf(editor)).toBe("fail");
    expect(bodyOf(4, "fail", editor, " ")).toEqual({
      version: 4,
      verdict: "fail",
      objects: [
        { label: "scratch", box: [10, 10, 40, 20] },
        { label: "dent", box: [50, 50, 60, 70] },
      ],
    });
  });

  test("is good without boxes, whatever the model found", () => {
    expect(bodyOf(4, "pass", editor, "clean").objects).toEqual([]);
    expect(bodyOf(4, "unusable", editor, "").objects).toEqual([]);
  });

  test("is good once the last box was removed", () => {
    expect(verdictOf(apply(editor, { do: "clear" }))).toBe("pass");
  });

  test("has coordinates in tenths of a pixel", () => {
    const moved = [
      {
        ...shapesOf(found)[0],
        id: "m",
        label: "dent",
        form: { kind: "box" as const, box: [1.04999, 2, 30.16, 20] as const },
      },
    ];
    expect(bodyOf(1, "fail", start(size, moved), "").objects[0]?.box).toEqual([1, 2, 30.2, 20]);
  });
});

test("each earlier decision is a layer of its own colour", () => {
  const layers = layersOf([decision("anna", "1"), decision("bruno", "2")], ({ by }) => by);
  expect(layers.map(({ title }) => title)).toEqual(["anna", "bruno"]);
  expect(new Set(layers.map(({ tone }) => tone)).size).toBe(2);
});

test("labels keep their numbers from image to image, and a new one comes last", () => {
  expect(labelsFor({ inspection: found as Inspection }, ["stain", "dent"])).toEqual(["stain", "dent", "scratch"]);
});

test("the time that is left is counted in minutes and seconds, and ends", () => {
  const until = "2026-01-01T10:05:00Z";
  const at = (time: string) => countdown(until, Date.parse(`2026-01-01T${time}Z`));
  expect(at("10:00:00")).toBe("5:00");
  expect(at("10:04:51")).toBe("0:09");
  expect(at("10:05:00")).toBeNull();
  expect(countdown("", Date.now())).toBeNull();
});

test("only one's own decisions of this day are counted", () => {
  const now = new Date(2026, 0, 2, 12);
  const at = (day: number) => new Date(2026, 0, day, 8).toISOString();
  const items = [
    { decisions: [decision("anna", at(2)), decision("bruno", at(2))] },
    { decisions: [decision("anna", at(1))] },
    { decisions: [decision("bruno", at(2))] },
  ];
  expect(decidedToday(items, "anna", now)).toBe(1);
});
