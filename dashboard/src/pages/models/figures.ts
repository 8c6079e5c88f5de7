/** The figures of two models beside each other. */

import type { Model } from "../../api/paths.learning";
import { percent } from "../../logic/format";
import { words } from "./words";

export interface FigureRow {
  readonly name: string;
  readonly texts: readonly [string, string];
  /** The place of the better one; null if they are equal or one is unknown. */
  readonly better: 0 | 1 | null;
}

type Value = number | null | undefined;

const digits = (value: Value): string => value?.toFixed(3) ?? "–";
const ms = (value: Value): string => (value === null || value === undefined ? "–" : words.ms(value));

const FIGURES: { name: string; of: (model: Model) => Value; text: (value: Value) => string; more: boolean }[] = [
  { name: words.columns.map, of: ({ metrics }) => metrics.map, text: digits, more: true },
  { name: words.columns.map50, of: ({ metrics }) => metrics.map50, text: digits, more: true },
  { name: words.columns.escape, of: ({ metrics }) => metrics.escape_rate?.value, text: percent, more: false },
  { name: words.columns.overkill, of: ({ metrics }) => metrics.overkill_rate?.value, text: percent, more: false },
  { name: words.columns.latency, of: ({ metrics }) => metrics.latency?.p95_ms, text: ms, more: false },
];

/** Each figure of both; more is better for precision, less for errors and latency. */
export function figuresOf(first: Model, second: Model): FigureRow[] {
  return FIGURES.map(({ name, of, text, more }) => {
    const values = [of(first), of(second)] as const;
    return { name, texts: [text(values[0]), text(values[1])], better: betterOf(values, more) };
  });
}

function betterOf([one, other]: readonly [Value, Value], more: boolean): 0 | 1 | null {
  if (one === null || one === undefined || other === null || other === undefined || one === other) return null;
  return one > other === more ? 0 : 1;
}

export interface ClassPair {
  readonly label: string;
  readonly values: readonly [number | null, number | null];
  /** In the test images; null if unknown. */
  readonly objects: number | null;
}

/** The classes of both, by name. */
export function classPairs(first: Model, second: Model): ClassPair[] {
  const labels = [...new Set([...Object.keys(first.per_class), ...Object.keys(second.per_class)])].sort();
  return labels.map((label) => {
    const [one, other] = [first.per_class[label], second.per_class[label]];
    return { label, values: [one?.ap ?? null, other?.ap ?? null], objects: one?.objects ?? other?.objects ?? null };
  });
}
