import { expect, test } from "vitest";
import { aligned, metricsOf } from "./series";

test("curves with different epochs share one axis, and have gaps where they know nothing", () => {
  expect(
    aligned([
      [
        [1, 0.1],
        [3, 0.3],
      ],
      [[2, 5]],
    ]),
  ).toEqual([
    [1, 2, 3],
    [0.1, null, 0.3],
    [null, 5, null],
  ]);
});

test("the metrics begin with the one that tells most, and empty curves are none", () => {
  const jobs = [
    { curves: { loss: [[1, 2]], learning_rate: [[1, 1]], other: [[1, 1]], "val:map50": [] } },
    { curves: { "val:map": [[1, 2]] } },
  ];
  expect(metricsOf(jobs as never)).toEqual(["val:map", "loss", "learning_rate", "other"]);
});
