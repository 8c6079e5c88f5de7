import type { Bucket } from "../../api/types";
import { TableFrame } from "../../components/page";
import type { ControlPoint } from "../../logic/control-chart";
import { bucket, integer, percent } from "../../logic/format";
import { texts } from "../../texts";

const words = texts.statistics;

/** The charts' numbers, for who wants to read or copy them. */
export function BucketTable({
  points,
  buckets,
  by,
}: {
  points: ControlPoint[];
  buckets: Bucket[];
  by: "hour" | "day";
}) {
  const rows = points.flatMap((point, index) => {
    const counts = buckets[index];
    return counts && point.inspected > 0 ? [{ point, counts }] : [];
  });
  return (
    <details class="measures">
      <summary>{texts.common.table}</summary>
      <TableFrame class="bucket-table" label={texts.common.table}>
        <table class="table">
          <thead>
            <tr>
              <th>{by === "day" ? words.day : words.hour}</th>
              <th class="number">{words.inspected}</th>
              <th class="number">{texts.verdicts.pass}</th>
              <th class="number">{texts.verdicts.fail}</th>
              <th class="number">{texts.verdicts.review}</th>
              <th class="number">{texts.verdicts.unreadable}</th>
              <th class="number">{words.defectRate}</th>
              <th>{words.limits}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ point, counts }) => (
              <tr key={point.start}>
                <td class="nowrap">{bucket(point.start, by)}</td>
                <td class="number">{integer(counts.inspected)}</td>
                <td class="number">{integer(counts.pass)}</td>
                <td class="number">{integer(counts.fail)}</td>
                <td class="number">{integer(counts.review)}</td>
                <td class="number">{integer(counts.unreadable)}</td>
                <td class="number">{percent(point.rate)}</td>
                <td class="nowrap">
                  {percent(point.lower)} – {percent(point.upper)}{" "}
                  {point.outside && <span class="badge plain v-fail">{texts.charts.outside[point.outside]}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </details>
  );
}
