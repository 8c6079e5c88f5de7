import type { Counts } from "../../api/types";
import { share, yieldOf } from "../../logic/counts";
import { integer, percent } from "../../logic/format";
import { texts } from "../../texts";

const words = texts.statistics;

/** The totals of the period. */
export function Figures({ totals }: { totals: Counts }) {
  const { inspected, pass, fail, review, unreadable } = totals;
  const figures = [
    { name: words.inspected, value: integer(inspected), hint: words.inspectedHint },
    { name: words.yield, value: percent(yieldOf(totals)), hint: words.ofAll(integer(pass), words.passed) },
    { name: words.defectRate, value: percent(share(fail, inspected)), hint: words.ofAll(integer(fail), words.failed) },
    {
      name: words.reviewShare,
      value: percent(share(review, inspected)),
      hint: words.ofAll(integer(review), words.toReview),
    },
    {
      name: words.unreadable,
      value: percent(share(unreadable, inspected)),
      hint: words.ofAll(integer(unreadable), texts.common.pictures(unreadable).replace(/^\S+ /, "")),
    },
  ];
  return (
    <dl class="card figures">
      {figures.map(({ name, value, hint }) => (
        <div key={name} class="figure">
          <dt>{name}</dt>
          <dd>
            {value} <small>{hint}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}
