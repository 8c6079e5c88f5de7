import type { Inspection } from "../../api/types";
import { TableFrame } from "../../components/page";
import { Thumbnail } from "../../components/thumbnail";
import { VerdictBadge } from "../../components/verdict";
import { shortVersion, time } from "../../logic/format";
import { texts } from "../../texts";
import { whatDecided } from "./gallery";

export function Table({ items }: { items: Inspection[] }) {
  const words = texts.inspections;
  return (
    <TableFrame class="card" label={words.title}>
      <table class="table hover inspections-table">
        <thead>
          <tr>
            <th>
              <span class="visually-hidden">{words.picture}</span>
            </th>
            <th>{words.serial}</th>
            <th>{words.verdict}</th>
            <th>{words.decided}</th>
            <th>{words.line}</th>
            <th>{words.station}</th>
            <th>{words.received}</th>
            <th>{words.model}</th>
            <th>{words.reviewed}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((inspection) => (
            <tr key={inspection.id}>
              <td>
                <Thumbnail id={inspection.id} link={inspection.links.thumbnail} />
              </td>
              <td>
                <a href={`#/inspections/${encodeURIComponent(inspection.id)}`}>{inspection.serial}</a>
              </td>
              <td>
                <VerdictBadge verdict={inspection.verdict} />
              </td>
              <td>{whatDecided(inspection)}</td>
              <td>{inspection.line}</td>
              <td>{inspection.station}</td>
              <td class="nowrap">{time(inspection.received_at)}</td>
              <td class="mono" title={inspection.model?.version}>
                {inspection.model ? shortVersion(inspection.model.version) : ""}
              </td>
              <td>
                {inspection.review ? `${texts.decisions[inspection.review.verdict] ?? inspection.review.verdict}` : ""}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}
