/** What the models of a run have achieved: detectors by boxes, anomaly models by whole pictures. */

import type { Candidate, Measured, RunSummary } from "../../api/paths.learning";
import { percent } from "../../logic/format";
import { words } from "./words";

type Value = number | null | undefined;

/** The best of a run. A detector has an AUROC, too, but its mAP says more. */
export function resultOf({ map, image_auroc }: Pick<RunSummary, "map" | "image_auroc">): string {
  if (map !== null) return words.result.map(map.toFixed(3));
  return image_auroc === null ? "–" : words.result.auroc(image_auroc.toFixed(3));
}

interface Column {
  readonly name: string;
  readonly hint?: string;
  readonly of: (candidate: Candidate) => string;
  /** The interval, in words. */
  readonly range?: (candidate: Candidate) => string | undefined;
}

const digits = (value: Value): string => value?.toFixed(3) ?? "–";
const between = (interval: [number, number] | null | undefined): string | undefined =>
  interval?.map((value) => value.toFixed(3)).join("–");
/** A rate that some reports have as a number, and others with its interval. */
const rate = (value: Measured | Value): string => percent(typeof value === "number" ? value : value?.value);

/** The columns of the table of candidates: those in which one of them has a value. */
export function columnsOf(candidates: readonly Candidate[]): Column[] {
  const { candidate: names } = words;
  const some = (figure: "map" | "image_auroc" | "caught_at_zero_overkill"): boolean =>
    candidates.some((candidate) => typeof candidate[figure] === "number");
  const ranked = some("image_auroc");
  const boxes: Column[] = [
    { name: names.map, of: ({ map }) => digits(map), range: ({ map_interval }) => between(map_interval) },
    { name: names.map50, of: ({ map50 }) => digits(map50) },
  ];
  const auroc: Column = {
    name: names.auroc,
    hint: names.aurocHint,
    of: ({ image_auroc }) => digits(image_auroc),
    range: ({ image_auroc_interval }) => between(image_auroc_interval),
  };
  const caught: Column = {
    name: names.caught,
    hint: names.caughtHint,
    of: ({ caught_at_zero_overkill }) => percent(caught_at_zero_overkill),
  };
  return [
    ...(some("map") || !ranked ? boxes : []),
    ...(ranked ? [auroc] : []),
    ...(some("caught_at_zero_overkill") ? [caught] : []),
    { name: names.escape, of: ({ escape_rate }) => rate(escape_rate) },
    { name: names.overkill, of: ({ overkill_rate }) => rate(overkill_rate) },
  ];
}
