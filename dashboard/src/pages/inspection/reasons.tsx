import type { Inspection } from "../../api/types";
import { finderOf } from "../../logic/anomaly";
import { score } from "../../logic/format";
import { texts } from "../../texts";

const STYLES: Record<string, string> = { defect: "box-defect", doubtful: "box-doubtful" };

/** Why the verdict is what it is. A reason with a box makes it stand out in the picture. */
export function Reasons({
  inspection,
  active,
  onActive,
}: {
  inspection: Inspection;
  active: number | null;
  onActive: (detection: number | null) => void;
}) {
  if (inspection.reasons.length === 0) return <p class="muted">{texts.inspections.noReason}</p>;
  return (
    <ul class="reasons">
      {inspection.reasons.map((reason, index) => {
        const detection = reason.detection ?? null;
        const boxed = detection !== null;
        const finder = finderOf(inspection, detection);
        return (
          // Reasons have no identity of their own; their order is the record's.
          <li key={index}>
            <button
              type="button"
              class={`reason${boxed && active === detection ? " active" : ""}`}
              disabled={!boxed}
              onPointerEnter={() => onActive(detection)}
              onPointerLeave={() => onActive(null)}
              onFocus={() => onActive(detection)}
              onBlur={() => onActive(null)}
            >
              <span class={`reason-mark ${STYLES[reason.code] ?? "box-allowed"}`} />
              <span class="grow">
                {reason.message}
                {finder && <span class="muted small"> {texts.anomaly.seenBy(finder)}</span>}
                {typeof reason.score === "number" && typeof reason.fail_score === "number" && (
                  <Score value={reason.score} limit={reason.fail_score} />
                )}
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** A score on a scale from 0 to 1, with the limit from which it is a defect. */
function Score({ value, limit }: { value: number; limit: number }) {
  return (
    <span class="score">
      <span class="score-bar" aria-hidden="true">
        <span style={{ width: `${value * 100}%` }} />
        <i style={{ left: `${limit * 100}%` }} />
      </span>
      <span class="muted small">{texts.inspection.scoreOf(score(value, limit), String(limit))}</span>
    </span>
  );
}
