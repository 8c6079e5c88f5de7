import { expect, test } from "vitest";
import { choicesFor } from "./label-picker";

const LABELS = ["rolled-in_scale", "scratches", "patches"];
const find = (typed: string, allowsNew = true) =>
  choicesFor(typed, LABELS, (label) => label.toUpperCase(), allowsNew).map(({ label }) => label);

test("all labels are offered at first, with the numbers of their keys", () => {
  expect(find("")).toEqual(LABELS);
  expect(choicesFor("", LABELS, String, true).map(({ digit }) => digit)).toEqual(["1", "2", "3"]);
});

test("a label that begins with the typed letters comes before one that contains them", () => {
  expect(find("SC").slice(0, 2)).toEqual(["scratches", "rolled-in_scale"]);
});

test("an unknown label can be added where that is allowed, but not a known one in other letters", () => {
  expect(find(" oil ")).toEqual(["oil"]);
  expect(find("oil", false)).toEqual([]);
  expect(find("Patches")).toEqual(["patches"]);
});
