import { expect, test } from "vitest";
import { classRows, findingsOf, growth } from "./logic";

const parts = { train: 70, validation: 10, test: 20 };

test("classes come with their images of each part, the largest first, and rare ones in the test part are marked", () => {
  const rows = classRows({
    parts,
    labels: {
      dent: { objects: 4, images: { train: 2, validation: 0, test: 1 } },
      stain: { objects: 90, images: { train: 40, validation: 5, test: 15 } },
    },
  });
  expect(rows.map(({ label, total, images, few }) => [label, total, images, few])).toEqual([
    ["stain", 60, [40, 5, 15], false],
    ["dent", 3, [2, 0, 1], true],
  ]);
});

test("a data set without a test part marks nothing", () => {
  const labels = { dent: { objects: 1, images: { train: 1, validation: 0, test: 0 } } };
  expect(classRows({ parts: { train: 1, validation: 0, test: 0 }, labels })[0]?.few).toBe(false);
});

test("what was left out is grouped by its reason", () => {
  const found = findingsOf([
    { file_name: "a", reason: "looks like an image in test" },
    { file_name: "b", reason: "same bytes as an image in train" },
    { file_name: "c", reason: "same bytes as an image in train" },
  ]);
  expect(found.map(({ reason, items }) => [reason, items.length])).toEqual([
    ["same bytes as an image in train", 2],
    ["looks like an image in test", 1],
  ]);
});

test("a snapshot is compared with the one before it", () => {
  expect(growth([{ images: 12 }, { images: 10 }, { images: 10 }])).toEqual([2, 0, null]);
});
