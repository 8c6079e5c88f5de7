import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RulesDocument } from "../../api/paths.rules";
import { clashes, differences, nextVersion, putOnto, ruleOf, withRule, withScore } from "./document";

const document: RulesDocument = {
  version: "1",
  default: { fail_score: 0.5, review_score: 0.3, severity: "major" },
  classes: { dent: { fail_score: 0.6, allowed_count: 2 } },
  lines: { "line-1": { dent: { review_score: 0.4 } }, "line-2": { default: { fail_score: 0.9, severity: "minor" } } },
  picture: { least_exposure: 0.1 },
};

describe("the rule of a class", () => {
  test("is the default, changed by the class, then by the line", () => {
    expect(ruleOf(document, "line-1", "dent")).toEqual({
      fail_score: 0.6,
      review_score: 0.4,
      severity: "major",
      allowed_count: 2,
    });
    expect(ruleOf(document, "", "stain")).toEqual({ fail_score: 0.5, review_score: 0.3, severity: "major" });
  });

  test("has the line's default where the line does not name the class", () => {
    expect(ruleOf(document, "line-2", "dent")).toMatchObject({ fail_score: 0.9, severity: "minor", allowed_count: 2 });
  });

  test("has the usual scores where the document says nothing", () => {
    expect(ruleOf({ version: "1" }, "", "dent")).toEqual({ fail_score: 0.5, review_score: 0.3 });
  });
});

test("a class that gets its own scores on a line keeps what the line's default gave it", () => {
  const changed = withRule(document, "line-2", "dent", { review_score: 0.2 });
  expect(ruleOf(changed, "line-2", "dent")).toMatchObject({ fail_score: 0.9, review_score: 0.2, severity: "minor" });
  expect(ruleOf(changed, "line-2", "stain")).toMatchObject({ fail_score: 0.9 });
  expect(changed.picture).toBe(document.picture);
});

test("the review score is never above the fail score, whichever moves", () => {
  const score = fc.double({ min: -1, max: 2, noNaN: true });
  fc.assert(
    fc.property(fc.constantFrom("fail_score" as const, "review_score" as const), score, (name, value) => {
      const scores = withScore({ fail_score: 0.5, review_score: 0.3 }, name, value);
      expect(scores.review_score).toBeLessThanOrEqual(scores.fail_score);
      expect(scores.review_score).toBeGreaterThanOrEqual(0);
      expect(scores.fail_score).toBeLessThanOrEqual(1);
    }),
  );
});

test("differences name each value with its place, and not the documents' names", () => {
  const after = { ...withRule(document, "", "scratch", { fail_score: 0.7 }), version: "2", picture: undefined };
  expect(differences(document, after)).toEqual([
    { path: ["classes", "scratch", "fail_score"], before: undefined, after: 0.7 },
    { path: ["picture"], before: { least_exposure: 0.1 }, after: undefined },
  ]);
});

const leaf = fc.oneof(
  fc.integer({ min: 0, max: 9 }),
  fc.constantFrom("minor", "major"),
  fc.array(fc.integer({ max: 9 }), { maxLength: 2 }),
);
const names = fc.constantFrom("a", "b", "c");
const any = fc.dictionary(names, fc.dictionary(names, leaf, { minKeys: 1, maxKeys: 3 }), { maxKeys: 3 });

test("the changes between two documents, put onto the first, make the second", () => {
  fc.assert(
    fc.property(any, any, (one, other) => {
      const made = putOnto(differences(one, other), one as unknown as RulesDocument);
      expect(differences(made, other)).toEqual([]);
    }),
  );
});

test("one's changes stay on rules that somebody else has changed elsewhere", () => {
  const mine = withRule(document, "", "dent", { fail_score: 0.8 });
  const theirs = { ...withRule(document, "", "stain", { fail_score: 0.2 }), version: "2" };
  const merged = putOnto(differences(document, mine), theirs);
  expect(merged.version).toBe("2");
  expect(merged.classes).toMatchObject({ dent: { fail_score: 0.8, allowed_count: 2 }, stain: { fail_score: 0.2 } });
  expect(clashes(differences(document, mine), differences(document, theirs))).toEqual([]);
});

test("a value that both have changed is named, unless they agree", () => {
  const to = (score: number) => differences(document, withRule(document, "", "dent", { fail_score: score }));
  expect(clashes(to(0.8), to(0.7))).toEqual(["classes.dent.fail_score"]);
  expect(clashes(to(0.8), to(0.8))).toEqual([]);
});

test("the next name is the day, and the day with a number once that is taken", () => {
  const today = new Date("2026-11-28T10:00:00Z");
  expect(nextVersion([null, "2026-11-27"], today)).toBe("2026-11-28");
  expect(nextVersion(["2026-11-28", "2026-11-28-2"], today)).toBe("2026-11-28-3");
});
