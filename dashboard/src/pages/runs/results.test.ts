import { expect, test } from "vitest";
import { columnsOf, resultOf } from "./results";

const names = (...candidates: Parameters<typeof columnsOf>[0]) => columnsOf(candidates).map(({ name }) => name);

test("a run of detectors is told by its mAP, and one of anomaly models by its AUROC", () => {
  expect(resultOf({ map: 0.5, image_auroc: 0.9 })).toBe("mAP 0.500");
  expect(resultOf({ map: null, image_auroc: 0.998 })).toBe("AUROC 0.998");
  expect(resultOf({ map: null, image_auroc: null })).toBe("–");
});

test("the table has the columns in which a candidate has a value, and both kinds side by side", () => {
  const anomaly = { map: null, image_auroc: 0.998, caught_at_zero_overkill: 0.96 };
  expect(names(anomaly)).toEqual(["AUROC", "Caught", "Escape", "Overkill"]);
  expect(names({ map: 0.5 })).toEqual(["mAP", "mAP50", "Escape", "Overkill"]);
  expect(names({ error: "no images" })).toEqual(["mAP", "mAP50", "Escape", "Overkill"]);
  expect(names(anomaly, { map: 0.5 })).toEqual(["mAP", "mAP50", "AUROC", "Caught", "Escape", "Overkill"]);
});

test("an interval stands beside its figure", () => {
  const [auroc] = columnsOf([{ image_auroc: 0.998, image_auroc_interval: [0.99, 1] }]);
  expect(auroc?.of({ image_auroc: 0.998 })).toBe("0.998");
  expect(auroc?.range?.({ image_auroc_interval: [0.99, 1] })).toBe("0.990–1.000");
});
