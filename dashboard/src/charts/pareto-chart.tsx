import { integer, percent } from "../logic/format";
import type { ParetoRow } from "../logic/pareto";
import { texts } from "../texts";

/** The defects as bars, with the line of their cumulative share; each bar leads to its pictures. */
export function ParetoChart({ rows, addressOf }: { rows: ParetoRow[]; addressOf: (label: string) => string }) {
  const most = rows[0]?.share ?? 1;
  const scale = Math.max(most, ...rows.map((row) => row.share));
  return (
    <figure class="pareto">
      <ol style={{ gridTemplateRows: `repeat(${rows.length}, 30px)` }}>
        {rows.map(({ label, count, share, cumulative }) => (
          <li key={label ?? ""}>
            {label === null ? (
              <span class="pareto-name muted">{texts.charts.others}</span>
            ) : (
              <a class="pareto-name clip" href={addressOf(label)} title={label}>
                {label}
              </a>
            )}
            <span class="pareto-bar" aria-hidden="true">
              <span style={{ width: `${(share / scale) * 100}%` }} />
              <i style={{ left: `${cumulative * 100}%` }} />
            </span>
            <span class="pareto-count">{integer(count)}</span>
            <span class="pareto-share muted">
              <span class="visually-hidden">{texts.charts.cumulative} </span>
              {percent(cumulative, 0)}
            </span>
          </li>
        ))}
        <CumulativeLine rows={rows} />
      </ol>
      <figcaption class="muted small">{texts.charts.paretoHint}</figcaption>
    </figure>
  );
}

/** The line through the rows' cumulative shares, in the column of the bars. */
function CumulativeLine({ rows }: { rows: ParetoRow[] }) {
  const points = rows.map((row, index) => `${row.cumulative * 100},${((index + 0.5) / rows.length) * 100}`).join(" ");
  return (
    <li class="pareto-line" aria-hidden="true">
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        <polyline points={points} />
      </svg>
    </li>
  );
}
