/** A rules document as a person changes it: what holds for a class on a line, what differs, and changes put onto newer rules. */

import type { ClassRule, RulesDocument, Scores } from "../../api/paths.rules";

/** What holds where the document says nothing (contract/scores.py). */
const USUAL: Scores = { fail_score: 0.5, review_score: 0.3 };

/** The rule of a class on a line, or without one for all lines; a line's own rule for the class replaces its default. */
export function ruleOf(document: RulesDocument, line: string, label: string): ClassRule & Scores {
  const onLine = document.lines?.[line];
  const own = onLine?.[label] ?? onLine?.default;
  return { ...USUAL, ...document.default, ...document.classes?.[label], ...own };
}

/** The document with values for a class, on a line or for all lines. All else stays as it is written. */
export function withRule(document: RulesDocument, line: string, label: string, values: ClassRule): RulesDocument {
  if (!line) {
    const classes = { ...document.classes, [label]: { ...document.classes?.[label], ...values } };
    return { ...document, classes };
  }
  const onLine = document.lines?.[line];
  // Without its own entry the class has the line's default, which an entry would replace.
  const before = onLine?.[label] ?? onLine?.default;
  return { ...document, lines: { ...document.lines, [line]: { ...onLine, [label]: { ...before, ...values } } } };
}

/** Scores that fit each other: the one that moves takes the other along. */
export function withScore(scores: Scores, name: keyof Scores, value: number): Scores {
  const moved = Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
  if (name === "fail_score") return { fail_score: moved, review_score: Math.min(scores.review_score, moved) };
  return { fail_score: Math.max(scores.fail_score, moved), review_score: moved };
}

export interface Difference {
  readonly path: readonly string[];
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * Where two documents differ, but for their names. Lists are compared whole, and an object that is gone is one difference:
 * an empty one may mean something else (a line's empty entry for a class keeps the line's default out).
 */
export function differences(before: unknown, after: unknown, path: readonly string[] = []): Difference[] {
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names
      .filter((name) => path.length > 0 || name !== "version")
      .flatMap((name) => differences(before[name], after[name], [...path, name]));
  }
  if (before === undefined && isObject(after) && Object.keys(after).length) return differences({}, after, path);
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}

/** One's own changes put onto rules that somebody else has changed meanwhile. */
export function putOnto(changes: readonly Difference[], newer: RulesDocument): RulesDocument {
  return changes.reduce((document, { path, after }) => placed(document, path, after) as RulesDocument, newer);
}

/** The places that both have changed, to different values. */
export function clashes(mine: readonly Difference[], theirs: readonly Difference[]): string[] {
  const changed = new Map(theirs.map(({ path, after }) => [path.join("."), JSON.stringify(after)]));
  return mine.flatMap(({ path, after }) => {
    const place = path.join(".");
    return changed.has(place) && changed.get(place) !== JSON.stringify(after) ? [place] : [];
  });
}

function placed(document: unknown, path: readonly string[], value: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  const object = isObject(document) ? document : {};
  if (rest.length === 0 && value === undefined) {
    const { [name]: _removed, ...others } = object;
    return others;
  }
  return { ...object, [name]: placed(object[name], rest, value) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A name that no rules have had: the day, and a number if the day has several. */
export function nextVersion(taken: readonly (string | null)[], today: Date): string {
  const day = today.toISOString().slice(0, 10);
  let name = day;
  for (let count = 2; taken.includes(name); count += 1) name = `${day}-${count}`;
  return name;
}
