import type { Inspection } from "../../api/types";
import { Thumbnail } from "../../components/thumbnail";
import { VerdictBadge, verdictClass } from "../../components/verdict";
import { time } from "../../logic/format";
import { texts } from "../../texts";

const address = (id: string): string => `#/inspections/${encodeURIComponent(id)}`;

/** What decided, in a few words: the defects, or the first reason. */
export function whatDecided(inspection: Pick<Inspection, "reasons">): string {
  const labels = [...new Set(inspection.reasons.flatMap((reason) => (reason.label ? [reason.label] : [])))];
  return labels.length > 0 ? labels.join(", ") : (inspection.reasons[0]?.message ?? "");
}

export function Gallery({ items }: { items: Inspection[] }) {
  return (
    <ul class="gallery">
      {items.map((inspection) => (
        <li key={inspection.id}>
          <a class={`gallery-item ${verdictClass(inspection.verdict)}`} href={address(inspection.id)}>
            <Thumbnail id={inspection.id} link={inspection.links.thumbnail} />
            <VerdictBadge verdict={inspection.verdict} solid />
            <span class="gallery-words">
              <strong class="clip" title={inspection.serial}>
                {inspection.serial}
              </strong>
              <span class="clip">{whatDecided(inspection) || texts.inspections.noReason}</span>
              <span class="muted clip">
                {inspection.line} / {inspection.station} · {time(inspection.received_at)}
              </span>
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
