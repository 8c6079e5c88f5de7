import { Check, ClipboardCheck, ExternalLink } from "lucide-preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import { ownOrigin } from "../../api/links";
import { can } from "../../api/session";
import type { InspectionDetails } from "../../api/types";
import { Button } from "../../components/button";
import { HeatMapSwitch, useHeatMapKey } from "../../components/heat-map";
import { Card, Page } from "../../components/page";
import { Picture } from "../../components/picture";
import { Shown } from "../../components/states";
import { toast, toastError } from "../../components/toasts";
import { VerdictBadge, VerdictIcon, verdictClass } from "../../components/verdict";
import { useLoad } from "../../hooks/load";
import { anomalyText, heatMapOf } from "../../logic/anomaly";
import { boxesOf } from "../../logic/boxes";
import { dateTime } from "../../logic/format";
import { texts } from "../../texts";
import { Facts } from "./facts";
import { History } from "./history";
import { NeighbourLinks } from "./neighbours";
import { Reasons } from "./reasons";
import { SameSerial } from "./same-serial";

const words = texts.inspection;
// Between these two, a person and a verdict contradict each other.
const CERTAIN = ["pass", "fail"];

/** One inspection: the picture, why it was judged so, and what happened to it since. */
export default function InspectionPage({ params }: { params: Record<string, string> }) {
  const id = params.id ?? "";
  const loaded = useLoad(
    () => ask(api.GET("/api/inspections/{identity}", { params: { path: { identity: id } } })),
    [id],
  );
  const inspection = loaded.data;
  return (
    <Page
      title={inspection?.serial ?? words.title}
      heading={
        inspection && (
          <span class="row wrap">
            <span class="inspection-serial">{inspection.serial}</span>
            <VerdictBadge verdict={inspection.verdict} solid />
          </span>
        )
      }
      hint={inspection && `${inspection.line} / ${inspection.station} · ${dateTime(inspection.received_at)}`}
      actions={
        <>
          <NeighbourLinks id={id} />
          {inspection && <Actions inspection={inspection} onChange={loaded.reload} />}
        </>
      }
    >
      <Shown from={loaded} height={480}>
        {(data) => <Content inspection={data} />}
      </Shown>
    </Page>
  );
}

function Content({ inspection }: { inspection: InspectionDetails }) {
  const [framed, setFramed] = useState(true);
  const [least, setLeast] = useState(1.1);
  const [active, setActive] = useState<number | null>(null);
  const heatMap = heatMapOf(inspection);
  useHeatMapKey(Boolean(heatMap));
  const unusual = anomalyText(inspection);
  const decided = String(inspection.review?.verdict ?? "");
  const differs = CERTAIN.includes(decided) && CERTAIN.includes(inspection.verdict) && decided !== inspection.verdict;
  const weak = inspection.detections.length - new Set(inspection.reasons.map((reason) => reason.detection)).size;
  return (
    <div class="inspection">
      <div class="stack">
        <section class="card inspection-picture">
          <div class="inspection-stage">
            <Picture
              link={inspection.links.picture}
              alt={texts.picture.alt(inspection.serial, texts.verdicts[inspection.verdict] ?? inspection.verdict)}
              width={inspection.image_width}
              height={inspection.image_height}
              boxes={framed ? boxesOf(inspection, least) : []}
              heatMap={heatMap}
              active={active}
              onFocusBox={setActive}
            />
          </div>
          <div class="inspection-tools">
            {inspection.detections.length > 0 && (
              <label class="check">
                <input type="checkbox" checked={framed} onChange={() => setFramed(!framed)} />
                {texts.picture.boxes}
              </label>
            )}
            {weak > 0 && (
              <label class="check">
                <input
                  type="checkbox"
                  checked={least <= 1}
                  disabled={!framed}
                  onChange={() => setLeast(least <= 1 ? 1.1 : 0)}
                />
                {words.weak(weak)}
              </label>
            )}
            {heatMap && <HeatMapSwitch />}
            <span class="grow" />
            <a class="button quiet" href={ownOrigin(inspection.links.picture) ?? ""} target="_blank" rel="noreferrer">
              <ExternalLink size={18} aria-hidden="true" />
              {texts.picture.original}
            </a>
          </div>
        </section>
        <SameSerial inspection={inspection} />
      </div>
      <div class="stack">
        <Card title={words.why}>
          <div class={`inspection-verdict ${verdictClass(inspection.verdict)}`}>
            <VerdictIcon verdict={inspection.verdict} size={28} />
            <div>
              <strong>{texts.verdicts[inspection.verdict] ?? inspection.verdict}</strong>
              {inspection.severity && <span> · {texts.severities[inspection.severity] ?? inspection.severity}</span>}
              {unusual && <span> · {unusual}</span>}
              <div class="small">{texts.callMeanings[inspection.verdict]}</div>
              {differs && <div class="small">{words.differs(texts.decisions[decided] ?? decided)}</div>}
            </div>
          </div>
          <Reasons inspection={inspection} active={active} onActive={setActive} />
        </Card>
        <History inspection={inspection} />
        <Facts inspection={inspection} />
      </div>
    </div>
  );
}

function Actions({ inspection, onChange }: { inspection: InspectionDetails; onChange: () => void }) {
  const [busy, setBusy] = useState(false);
  const { id, verdict, acknowledged, queue } = inspection;
  const acknowledge = (): void => {
    setBusy(true);
    ask(api.POST("/api/inspections/{identity}/acknowledgement", { params: { path: { identity: id } } }))
      .then(() => {
        toast(words.acknowledged);
        onChange();
      }, toastError)
      .finally(() => setBusy(false));
  };
  return (
    <>
      {verdict === "fail" && !acknowledged && can("operator") && (
        <Button icon={Check} busy={busy} onClick={acknowledge}>
          {texts.line.acknowledge}
        </Button>
      )}
      {queue && can("reviewer") && (
        <a class="button primary" href={`#/review/${encodeURIComponent(id)}`}>
          <ClipboardCheck size={18} aria-hidden="true" />
          {queue.state === "open" ? words.review : words.reviewAgain}
        </a>
      )}
    </>
  );
}
