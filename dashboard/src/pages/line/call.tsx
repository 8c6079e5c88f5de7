import { Check, Hourglass, Radio, Unplug } from "lucide-preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import { can } from "../../api/session";
import type { Inspection, Verdict } from "../../api/types";
import { Button } from "../../components/button";
import { Picture } from "../../components/picture";
import { Empty } from "../../components/states";
import { toastError } from "../../components/toasts";
import { VerdictIcon, verdictClass } from "../../components/verdict";
import { useNow } from "../../hooks/now";
import { heatMapOf } from "../../logic/anomaly";
import { boxesOf } from "../../logic/boxes";
import { ago } from "../../logic/format";
import { inShort } from "../../logic/reasons";
import { texts } from "../../texts";

/** The verdict in large letters over its picture, and why. */
export function Call({
  inspection,
  waiting,
  stale,
  held,
  onLive,
  onAcknowledged,
}: {
  inspection: Inspection | null;
  /** No inspection of the line is known yet. */
  waiting: boolean;
  /** What is shown may be old. */
  stale: boolean;
  /** An older inspection was chosen; new ones do not replace it. */
  held: boolean;
  onLive: () => void;
  onAcknowledged: (inspection: Inspection) => void;
}) {
  const now = useNow();
  if (!inspection) {
    return (
      <section class="card line-call v-neutral">
        {waiting && (
          <Empty title={texts.line.waiting} icon={Hourglass}>
            <p>{texts.line.waitingHint}</p>
          </Empty>
        )}
      </section>
    );
  }
  const { verdict, serial, station, inspected_at: at } = inspection;
  const word = texts.calls[verdict as Verdict] ?? verdict;
  const state = stale ? "v-neutral stale" : verdictClass(verdict);
  return (
    <section class={`card line-call ${state}`} aria-live="polite">
      <header class="line-call-head">
        {stale ? <Unplug size={64} aria-hidden="true" /> : <VerdictIcon verdict={verdict} size={64} />}
        <strong>{stale ? texts.line.notLive : word}</strong>
        <div class="line-call-facts">
          <a class="clip" href={`#/inspections/${encodeURIComponent(inspection.id)}`}>
            {serial}
          </a>
          <span class="clip">
            {station} · {stale && `${word} `}
            {ago(at, now)}
          </span>
        </div>
        <Acknowledge inspection={inspection} onAcknowledged={onAcknowledged} />
      </header>
      <div class="line-call-picture">
        <Picture
          link={inspection.links.picture}
          alt={texts.picture.alt(serial, texts.verdicts[verdict as Verdict] ?? verdict)}
          width={inspection.image_width}
          height={inspection.image_height}
          boxes={boxesOf(inspection)}
          heatMap={heatMapOf(inspection)}
        />
        {held && (
          <Button class="line-call-live" kind="primary" icon={Radio} onClick={onLive}>
            {texts.line.live}
          </Button>
        )}
      </div>
      {inspection.reasons.length > 0 && <p class="line-call-reasons clip">{inShort(inspection.reasons)}</p>}
    </section>
  );
}

function Acknowledge({
  inspection,
  onAcknowledged,
}: {
  inspection: Inspection;
  onAcknowledged: (inspection: Inspection) => void;
}) {
  const [busy, setBusy] = useState(false);
  const { id, verdict, acknowledged } = inspection;
  if (acknowledged) {
    return (
      <span class="line-call-done">
        <Check size={20} aria-hidden="true" /> {texts.line.acknowledgedBy(acknowledged.by)}
      </span>
    );
  }
  if (verdict !== "fail" || !can("operator")) return null;
  return (
    <Button
      large
      busy={busy}
      icon={Check}
      onClick={() => {
        setBusy(true);
        ask(api.POST("/api/inspections/{identity}/acknowledgement", { params: { path: { identity: id } } }))
          .then(onAcknowledged, toastError)
          .finally(() => setBusy(false));
      }}
    >
      {texts.line.acknowledge}
    </Button>
  );
}
