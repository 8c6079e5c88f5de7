import { expect, test } from "vitest";
import { folded, inShort } from "./reasons";

test("reasons of one kind and class are one, with the highest and the lowest score", () => {
  const doubtful = (label: string, score: number) => ({
    code: "doubtful",
    message: `possible defect: ${label} ${score}`,
    label,
    score,
  });
  const reasons = [
    doubtful("scratch", 0.4),
    doubtful("dent", 0.3),
    doubtful("scratch", 0.1),
    { code: "bad_picture", message: "blurred" },
  ];
  expect(folded(reasons).map(({ reason, count, scores }) => [reason.label ?? reason.message, count, scores])).toEqual([
    ["scratch", 2, [0.4, 0.1]],
    ["dent", 1, [0.3, 0.3]],
    ["blurred", 1, null],
  ]);
});

test("an operator reads each class once", () => {
  const patches = (score: number) => ({
    code: "defect",
    message: `defect: patches ${score}`,
    label: "patches",
    score,
    fail_score: 0.5,
  });
  const reasons = [
    patches(0.99),
    patches(0.98),
    { ...patches(0.7), label: "dent" },
    { code: "bad_picture", message: "blurred" },
  ];
  expect(inShort(reasons)).toBe("patches × 2, up to 0.99 · dent 0.70 · blurred");
});
