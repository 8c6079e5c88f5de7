/** The figures of models: which of them there are, and two models beside each other. */

import type { Model } from "../../api/paths.learning";
import { percent } from "../../logic/format";
import { words } from "./words";

type Value = number | null | undefined;
type Metrics = Model["metrics"];

const digits = (value: Value): string => value?.toFixed(3) ?? "–";
const ms = (value: Value): string => (value === null || value === undefined ? "–" : words.ms(value));
const between = (interval: [number, number] | null | undefined): string | undefined =>
  interval?.map((value) => value.toFixed(3)).join("–");

export interface Figure {
  readonly name: string;
  /** For the head of a column. */
  readonly short?: string;
  readonly hint?: string;
  readonly of: (metrics: Metrics) => Value;
  readonly text: (value: Value) => string;
  /** The interval, in words. */
  readonly range?: (metrics: Metrics) => string | undefined;
  /** More is better. */
  readonly more: boolean;
}

const DETECTION: readonly Figure[] = [
  {
    name: words.columns.map,
    of: ({ map }) => map,
    text: digits,
    range: ({ map_interval }) => between(map_interval),
    more: true,
  },
  { name: words.columns.map50, of: ({ map50 }) => map50, text: digits, more: true },
];
const RANKING: readonly Figure[] = [
  {
    name: words.columns.auroc,
    short: words.columns.aurocShort,
    hint: words.aurocHint,
    of: ({ image_auroc }) => image_auroc,
    text: digits,
    range: ({ image_auroc_interval }) => between(image_auroc_interval),
    more: true,
  },
  {
    name: words.columns.caught,
    short: words.columns.caughtShort,
    hint: words.caughtHint,
    of: ({ caught_at_zero_overkill }) => caught_at_zero_overkill,
    text: percent,
    more: true,
  },
];
const ALWAYS: readonly Figure[] = [
  { name: words.columns.escape, of: ({ escape_rate }) => escape_rate?.value, text: percent, more: false },
  { name: words.columns.overkill, of: ({ overkill_rate }) => overkill_rate?.value, text: percent, more: false },
  { name: words.columns.latency, of: ({ latency }) => latency?.p95_ms, text: ms, more: false },
];

const known = (value: Value): value is number => value !== null && value !== undefined;

/**
 * The figures that say something about these models: mAP of those that find labelled classes, the image AUROC where it
 * was measured, and the rates of all. An anomaly model has no mAP, and an older evaluation no AUROC.
 */
export function figuresFor(models: readonly Pick<Model, "metrics">[]): Figure[] {
  const have = ({ of }: Figure): boolean => models.some(({ metrics }) => known(of(metrics)));
  const ranking = RANKING.filter(have);
  const detection = ranking.length > 0 ? DETECTION.filter(have) : DETECTION;
  return [...detection, ...ranking, ...ALWAYS];
}

export interface FigureRow {
  readonly name: string;
  readonly texts: readonly [string, string];
  /** The place of the better one; null if they are equal or one is unknown. */
  readonly better: 0 | 1 | null;
}

/** Each figure of both; more is better for precision, less for errors and latency. */
export function figuresOf(first: Model, second: Model): FigureRow[] {
  return figuresFor([first, second]).map(({ name, of, text, more }) => {
    const values = [of(first.metrics), of(second.metrics)] as const;
    return { name, texts: [text(values[0]), text(values[1])], better: betterOf(values, more) };
  });
}

function betterOf([one, other]: readonly [Value, Value], more: boolean): 0 | 1 | null {
  if (!known(one) || !known(other) || one === other) return null;
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
