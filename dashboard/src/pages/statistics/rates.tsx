import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { MeasuredRate, Rates } from "../../api/types";
import { Interval, reviewedWords, scaleOf } from "../../charts/interval";
import { Segments } from "../../components/fields";
import { Card, TableFrame } from "../../components/page";
import { Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { integer, shortVersion } from "../../logic/format";
import { texts } from "../../texts";
import type { StatisticsFilters } from ".";

const words = texts.rates;
type By = "line" | "label" | "model";

/** How often the verdicts are wrong, as people's decisions tell. */
export function RatesCard({ filters }: { filters: StatisticsFilters }) {
  const { since, until, line, model } = filters;
  const query = { since, until: until || undefined, line: line || undefined, model: model || undefined };
  const loaded = useLoad(
    () => ask(api.GET("/api/statistics/rates", { params: { query } })),
    [since, until, line, model],
  );
  return (
    <Card title={words.title}>
      <Shown from={loaded} height={220}>
        {(rates) => (
          <div class="stack">
            <div class="rates-heads">
              <Head name={words.escape} hint={words.escapeHint} rate={rates.escape} />
              <Head name={words.overkill} hint={words.overkillHint} rate={rates.overkill} />
            </div>
            <p class="muted small">
              {words.explanation} {words.decided(integer(rates.decided), integer(rates.disagreements))}
            </p>
            {rates.decided > 0 && <By rates={rates} />}
          </div>
        )}
      </Shown>
    </Card>
  );
}

function Head({ name, hint, rate }: { name: string; hint: string; rate: MeasuredRate }) {
  return (
    <section class="rate-head">
      <h3>{name}</h3>
      <p class="muted small">{hint}</p>
      <Interval rate={rate} most={scaleOf([rate])} />
      <p class="small muted">{reviewedWords(rate)}</p>
    </section>
  );
}

function By({ rates }: { rates: Rates }) {
  const [by, setBy] = useState<By>("line");
  const rows = {
    line: rates.by_line.map((row) => ({ ...row, name: row.line })),
    label: rates.by_label.map((row) => ({ ...row, name: row.label })),
    model: rates.by_model.map((row) => ({ ...row, name: shortVersion(row.version) })),
  }[by];
  const escapeScale = scaleOf(rows.map((row) => row.escape));
  const overkillScale = scaleOf(rows.map((row) => row.overkill));
  return (
    <div class="stack tight">
      <Segments<By>
        label={words.by}
        value={by}
        options={[
          { value: "line", name: words.byLine },
          { value: "label", name: words.byLabel },
          { value: "model", name: words.byModel },
        ]}
        onChange={setBy}
      />
      <TableFrame label={words.title}>
        <table class="table rates-table">
          <thead>
            <tr>
              <th>{texts.statistics.name}</th>
              <th>{words.escape}</th>
              <th>{words.overkill}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.name}>
                <td>{row.name}</td>
                <td title={reviewedWords(row.escape)}>
                  <Interval rate={row.escape} most={escapeScale} />
                </td>
                <td title={reviewedWords(row.overkill)}>
                  <Interval rate={row.overkill} most={overkillScale} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </div>
  );
}
