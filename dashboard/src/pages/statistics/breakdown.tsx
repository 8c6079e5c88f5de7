import type { Counts } from "../../api/types";
import { OutcomeBar } from "../../components/outcome-bar";
import { Card, TableFrame } from "../../components/page";
import { share, yieldOf } from "../../logic/counts";
import { integer, percent } from "../../logic/format";
import { texts } from "../../texts";

const words = texts.statistics;

/** The counts of each station, or of each model. */
export function Breakdown({ title, rows }: { title: string; rows: { name: string; hint?: string; counts: Counts }[] }) {
  return (
    <Card title={title} flush>
      <TableFrame label={title}>
        <table class="table">
          <thead>
            <tr>
              <th>{words.name}</th>
              <th class="breakdown-bar">{words.outcome}</th>
              <th class="number">{words.inspected}</th>
              <th class="number">{words.yield}</th>
              <th class="number">{words.defectRate}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ name, hint, counts }) => (
              <tr key={name}>
                <td class="nowrap" title={hint}>
                  {name}
                </td>
                <td>
                  <OutcomeBar counts={counts} />
                </td>
                <td class="number">{integer(counts.inspected)}</td>
                <td class="number">{percent(yieldOf(counts))}</td>
                <td class="number">{percent(share(counts.fail, counts.inspected))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </Card>
  );
}
