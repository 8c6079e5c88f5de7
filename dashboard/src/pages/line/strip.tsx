import { Check } from "lucide-preact";
import type { Inspection } from "../../api/types";
import { Shown } from "../../components/states";
import { Thumbnail } from "../../components/thumbnail";
import type { Loaded } from "../../hooks/load";
import { useNow } from "../../hooks/now";
import { ago } from "../../logic/format";
import { texts } from "../../texts";

/** The last bad products. Those that nobody has acknowledged stand out; a touch shows one in large. */
export function Strip({
  failed,
  chosen,
  onChoose,
}: {
  failed: Loaded<Inspection[]>;
  chosen: string | null;
  onChoose: (id: string | null) => void;
}) {
  const now = useNow();
  return (
    <section class="line-strip" aria-label={texts.line.lastFailed}>
      <Shown from={failed} height={130} quiet>
        {(inspections) => {
          const open = inspections.filter((inspection) => !inspection.acknowledged).length;
          return (
            <>
              <h2>
                {texts.line.lastFailed}
                {open > 0 && <span class="badge plain solid v-fail">{texts.line.open(open)}</span>}
              </h2>
              {inspections.length === 0 && <p class="muted">{texts.line.noneFailed}</p>}
              <ul>
                {inspections.map((inspection) => (
                  <li key={inspection.id}>
                    <button
                      type="button"
                      class={`strip-item${inspection.acknowledged ? "" : " open"}`}
                      aria-pressed={inspection.id === chosen}
                      onClick={() => onChoose(inspection.id === chosen ? null : inspection.id)}
                    >
                      <Thumbnail id={inspection.id} link={inspection.links.thumbnail} />
                      {inspection.acknowledged && (
                        <span class="strip-done" title={texts.line.acknowledgedBy(inspection.acknowledged.by)}>
                          <Check size={14} />
                        </span>
                      )}
                      <span class="clip">{inspection.reasons[0]?.label ?? inspection.serial}</span>
                      <span class="muted clip">{ago(inspection.inspected_at, now)}</span>
                    </button>
                  </li>
                ))}
              </ul>
            </>
          );
        }}
      </Shown>
    </section>
  );
}
