import type { Statistics, Verdict } from "../../api/types";
import { OutcomeBar } from "../../components/outcome-bar";
import { Shown } from "../../components/states";
import { VerdictIcon } from "../../components/verdict";
import type { Loaded } from "../../hooks/load";
import { yieldOf } from "../../logic/counts";
import { integer, percent } from "../../logic/format";
import { texts } from "../../texts";

const ORDER: Verdict[] = ["pass", "fail", "review", "unreadable"];

/** Yield and counts of the shift, and its most frequent defects. */
export function Shift({ counts }: { counts: Loaded<Statistics> }) {
  return (
    <section class="card line-shift" aria-label={texts.line.shift}>
      <Shown from={counts} height={280} quiet>
        {({ totals }) => {
          const defects = Object.entries(totals.defects).sort((a, b) => b[1] - a[1]);
          return (
            <>
              <dl class="line-yield">
                <dt>{texts.lines.yield}</dt>
                <dd>{percent(yieldOf(totals))}</dd>
              </dl>
              <OutcomeBar counts={totals} />
              <dl class="line-counts">
                {ORDER.map((verdict) => (
                  <div key={verdict} class={`v-${verdict}`}>
                    <dt>
                      <VerdictIcon verdict={verdict} size={20} />
                      {texts.calls[verdict]}
                    </dt>
                    <dd>{integer(totals[verdict])}</dd>
                  </div>
                ))}
              </dl>
              {defects.length > 0 && (
                <dl class="line-defects">
                  {defects.slice(0, 4).map(([label, n]) => (
                    <div key={label}>
                      <dt class="clip">{label}</dt>
                      <dd>{integer(n)}</dd>
                    </div>
                  ))}
                </dl>
              )}
            </>
          );
        }}
      </Shown>
    </section>
  );
}
