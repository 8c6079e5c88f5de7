import { Check, CircleHelp, CircleSlash, CircleX, EyeOff, Pencil, SkipForward } from "lucide-preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ClaimedReview, ReviewVerdict } from "../../api/paths.review";
import type { Decision, Inspection } from "../../api/types";
import { useEditing } from "../../canvas/editing";
import type { Size } from "../../canvas/geometry";
import { LabelPicker } from "../../canvas/label-picker";
import { isChanged, type Shape, selectedShape } from "../../canvas/model";
import { PictureEditor } from "../../canvas/picture-editor";
import { ShapeList, scoreOf } from "../../canvas/shape-list";
import { Button } from "../../components/button";
import { HeatMapSwitch, useHeatMapKey } from "../../components/heat-map";
import { Notice } from "../../components/states";
import { toast, toastError } from "../../components/toasts";
import { VerdictBadge } from "../../components/verdict";
import { anomalyText, finderOf, heatMapOf } from "../../logic/anomaly";
import { ago, score, time } from "../../logic/format";
import { type Folded, folded } from "../../logic/reasons";
import { texts } from "../../texts";
import { isLost, useClaim } from "./claim";
import { decide, draftOf, dropDraft, keepDraft } from "./desk";
import { Help } from "./help";
import { bodyOf, detectionOf, labelsFor, layersOf, shapesOf, verdictOf, weakerOf } from "./logic";
import { type ShownPicture, usePicture } from "./picture-size";
import { words } from "./words";

interface DecideProps {
  first: ClaimedReview;
  labels: readonly string[];
  onDone: (verdict: ReviewVerdict) => void;
  onSkip: () => void;
  onNext: () => void;
}

const plain = (label: string): string => label;
const toneOf = ({ mark }: Pick<Shape, "mark">): string => (mark ? `tone-${mark}` : "tone-person");
/** How sure the model is, and which one if two have judged. */
function noteOf(shape: Shape, inspection: Inspection): string {
  const finder = shape.score === undefined ? null : finderOf(inspection, detectionOf(shape));
  return [scoreOf(shape), finder].filter(Boolean).join(" · ");
}
let lastLabel: string | undefined;

/** One image, with what is known about it and what can be decided. */
export function Decide(props: DecideProps) {
  const picture = usePicture(props.first.inspection);
  if (!picture.size) return <div class="review-work" aria-busy="true" />;
  return <Desk {...props} picture={picture} size={picture.size} />;
}

function Desk({
  first,
  labels: known,
  onDone,
  onSkip,
  onNext,
  picture,
  size,
}: DecideProps & { picture: ShownPicture; size: Size }) {
  const claim = useClaim(first);
  const { item } = claim;
  const { inspection } = item;
  const draft = draftOf(first.id);
  const [shapes] = useState(() => draft?.shapes ?? shapesOf(inspection));
  const editing = useEditing(size, shapes, plain);
  const [comment, setComment] = useState(draft?.comment ?? "");
  const [busy, setBusy] = useState<ReviewVerdict | null>(null);
  const [dialog, setDialog] = useState<"help" | "label" | null>(null);
  const [weaker, setWeaker] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const { editor } = editing;
  const changed = isChanged(editor) || (draft !== undefined && comment !== "");
  const labels = useMemo(() => labelsFor(item, known), [item, known]);
  const stopped = claim.lost !== null || claim.left === null;

  useEffect(() => {
    if (isChanged(editor) || comment) keepDraft(first.id, editor.shapes, comment);
  }, [editor, comment, first.id]);

  async function send(verdict: ReviewVerdict) {
    if (busy || stopped) return;
    setBusy(verdict);
    try {
      const { no_label } = await decide(item.id, bodyOf(item.version, verdict, editor, comment));
      // That nothing is learned from an unusable picture is what the person wants.
      if (no_label && verdict !== "unusable") toast(no_label);
      dropDraft(item.id);
      onDone(verdict);
    } catch (error) {
      setBusy(null);
      if (isLost(error)) claim.lose(error);
      else toastError(error);
    }
  }

  function edit() {
    root.current?.querySelector<HTMLElement>(".canvas-stage")?.focus();
    if (!editor.selected) editing.send({ do: "next", by: 1 });
  }

  function actOn(key: string): boolean {
    const act = {
      a: () => send(verdictOf(editor)),
      r: () => send("pass"),
      d: () => send("fail"),
      u: () => send("unusable"),
      c: edit,
      s: onSkip,
      m: () => root.current?.querySelector("textarea")?.focus(),
      "?": () => setDialog("help"),
      enter: () => changed && send(verdictOf(editor)),
    }[key.toLowerCase()];
    if (act) void act();
    return act !== undefined;
  }
  const heatMap = heatMapOf(inspection);
  useHeatMapKey(Boolean(heatMap) && dialog === null);
  useKeys((event) => dialog === null && actOn(event.key));

  const layers = useMemo(() => {
    const others = layersOf(item.decisions, decisionName);
    if (!weaker) return others;
    const shown = weakerOf(inspection).map(({ label, box }) => ({ label, form: { kind: "box" as const, box } }));
    return [...others, { id: "weaker", title: words.weaker, tone: "tone-allowed", shapes: shown }];
  }, [item.decisions, inspection, weaker]);

  return (
    <div class="review-work" ref={root}>
      <div class="review-picture">
        {picture.broken && (
          <Notice kind="review">
            {words.noPicture} {picture.preview && words.preview}
          </Notice>
        )}
        <PictureEditor
          editing={editing}
          picture={picture.source}
          preview={picture.preview}
          heatMap={heatMap}
          title={words.picture(item.serial)}
          labels={labels}
          newLabel={lastLabel ?? editor.shapes[0]?.label ?? labels[0] ?? "defect"}
          layers={layers}
          readOnly={busy !== null}
          name={plain}
          tone={toneOf}
          onAskLabel={() => setDialog("label")}
          onPictureError={picture.onError}
        />
      </div>
      <aside class="review-side card">
        <Facts item={item} left={claim.left} onHelp={() => setDialog("help")} />
        {stopped && <Lost claim={claim} onNext={onNext} />}
        <Why item={item} />
        <Others decisions={item.decisions} disagreement={item.disagreement === true} />
        <section>
          <h3>{words.boxes}</h3>
          <ShapeList
            editing={editing}
            name={plain}
            tone={toneOf}
            note={(shape) => noteOf(shape, inspection)}
            onAskLabel={() => setDialog("label")}
          />
          {weakerOf(inspection).length > 0 && (
            <button type="button" class="link small" onClick={() => setWeaker(!weaker)}>
              {weaker ? words.hideAll : words.showAll(weakerOf(inspection).length)}
            </button>
          )}
        </section>
        <label class="field">
          <span>{words.comment}</span>
          <textarea
            class="input"
            rows={2}
            maxLength={1000}
            placeholder={words.commentHint}
            value={comment}
            onInput={(event) => setComment(event.currentTarget.value)}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
          />
        </label>
        <Actions
          defects={editor.shapes.length}
          changed={changed}
          busy={busy}
          stopped={stopped}
          send={send}
          edit={edit}
          skip={onSkip}
        />
      </aside>
      {dialog === "help" && <Help onClose={() => setDialog(null)} />}
      {dialog === "label" && (
        <LabelPicker
          labels={labels}
          current={selectedShape(editor)?.label}
          name={plain}
          allowsNew
          onDone={(label) => {
            setDialog(null);
            if (label) {
              lastLabel = label;
              editing.send({ do: "relabel", label });
            }
          }}
        />
      )}
    </div>
  );
}

/** Keys of the page, unless a person types or holds a modifier. */
function useKeys(act: (event: KeyboardEvent) => boolean): void {
  const latest = useRef(act);
  latest.current = act;
  // Not useEffect: it runs after the paint, and a key pressed in between would be lost.
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (target.closest("input:not([type=range], [type=checkbox]), textarea, select, dialog")) return;
      // Enter on a button presses the button.
      if (event.key === "Enter" && target.closest("button, a")) return;
      if (latest.current(event)) event.preventDefault();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}

const decisionName = ({ by, verdict }: Decision): string => `${by}: ${words.decisions[verdict] ?? verdict}`;

function Facts({ item, left, onHelp }: { item: ClaimedReview; left: string | null; onHelp: () => void }) {
  return (
    <header class="review-facts">
      <div class="row apart">
        <h2 class="clip" title={item.serial}>
          <a href={`#/inspections/${encodeURIComponent(item.id)}`}>{item.serial}</a>
        </h2>
        <div class="row">
          <span class={`claim-time${left ? "" : " over"}`} title={words.claim.title}>
            {left ? words.claim.left(left) : words.claim.over}
          </span>
          <Button kind="quiet" icon={CircleHelp} aria-label={words.help} onClick={onHelp} />
        </div>
      </div>
      <p class="muted small">
        {item.line} · {item.station} · {ago(item.received_at)}
      </p>
    </header>
  );
}

function Lost({ claim, onNext }: { claim: ReturnType<typeof useClaim>; onNext: () => void }) {
  const details = claim.lost?.details[0] as { by?: unknown; until?: unknown } | undefined;
  const taken =
    typeof details?.by === "string" && typeof details.until === "string"
      ? words.lost.taken(details.by, time(details.until))
      : "";
  return (
    <Notice kind="review">
      <div class="stack tight">
        <p>
          <strong>{words.lost.title}</strong> {claim.lost?.message ?? words.claim.over} {taken}
        </p>
        <p>{words.lost.kept}</p>
        <div class="row wrap">
          <Button onClick={() => void claim.renew()}>{words.lost.again}</Button>
          <Button kind="quiet" onClick={onNext}>
            {words.lost.next}
          </Button>
        </div>
      </div>
    </Notice>
  );
}

function Why({ item }: { item: ClaimedReview }) {
  const { reasons } = item.inspection;
  const unusual = anomalyText(item.inspection);
  return (
    <section>
      <div class="row apart">
        <h3>{words.why}</h3>
        <span class="row">
          {unusual && <strong class="small nowrap">{unusual}</strong>}
          <VerdictBadge verdict={item.verdict} />
        </span>
      </div>
      {heatMapOf(item.inspection) && <HeatMapSwitch />}
      <p class="small">{words.causeOf(item.cause, item.share, texts.verdicts[item.verdict] ?? item.verdict)}</p>
      <ul class="why">
        {reasons.length === 0 && <li class="muted">{words.noReasons}</li>}
        {folded(reasons).map((each) => (
          <li key={`${each.reason.code} ${each.reason.message}`}>{reasonText(each)}</li>
        ))}
        {/* Of a random check there is no more to say than its share, which stands above. */}
        {(item.cause === "sample" ? [] : (item.why ?? [])).map((sentence) => (
          <li key={sentence} class="muted">
            {sentence}
          </li>
        ))}
      </ul>
    </section>
  );
}

function reasonText({ reason, count, scores }: Folded): string {
  const kind = words.kinds[reason.code];
  if (count === 1 || !scores || !kind || !reason.label) return reason.message;
  return words.times(kind, reason.label, count, score(scores[0]), score(scores[1]));
}

function Others({ decisions, disagreement }: { decisions: Decision[]; disagreement: boolean }) {
  if (!decisions.length) return null;
  const layers = layersOf(decisions, decisionName);
  return (
    <section>
      <div class="row apart">
        <h3>{words.others}</h3>
        {disagreement && <span class="badge plain v-review">{words.disagree}</span>}
      </div>
      <ul class="others">
        {decisions.map((decision, index) => (
          <li key={decision.at} class={layers[index]?.tone}>
            <span class="swatch" />
            <div class="grow">
              <strong>{decision.by}</strong>: {words.decisions[decision.verdict] ?? decision.verdict}{" "}
              <span class="muted small">{ago(decision.at)}</span>
              {decision.objects.length > 0 && (
                <div class="small">{decision.objects.map(({ label }) => label).join(", ")}</div>
              )}
              {decision.comment && <blockquote class="small">{decision.comment}</blockquote>}
            </div>
          </li>
        ))}
      </ul>
      <p class="muted small">{words.othersHint}</p>
    </section>
  );
}

interface ActionsProps {
  defects: number;
  changed: boolean;
  busy: ReviewVerdict | null;
  stopped: boolean;
  send: (verdict: ReviewVerdict) => void;
  edit: () => void;
  skip: () => void;
}

function Actions({ defects, changed, busy, stopped, send, edit, skip }: ActionsProps) {
  const off = busy !== null || stopped;
  const shown: ReviewVerdict = defects ? "fail" : "pass";
  return (
    <div class="review-actions">
      <Button kind="primary" large icon={Check} disabled={off} busy={busy === shown} onClick={() => send(shown)}>
        {changed ? words.decide.save(defects) : words.decide.accept(defects)} <kbd>{changed ? "⏎" : "A"}</kbd>
      </Button>
      {defects > 0 ? (
        <Button icon={CircleSlash} disabled={off} busy={busy === "pass"} onClick={() => send("pass")}>
          {words.decide.none} <kbd>R</kbd>
        </Button>
      ) : (
        <Button icon={CircleX} disabled={off} busy={busy === "fail"} onClick={() => send("fail")}>
          {words.decide.bad} <kbd>D</kbd>
        </Button>
      )}
      <Button icon={Pencil} disabled={off} onClick={edit}>
        {words.decide.edit} <kbd>C</kbd>
      </Button>
      <Button icon={EyeOff} disabled={off} busy={busy === "unusable"} onClick={() => send("unusable")}>
        {words.decide.unusable} <kbd>U</kbd>
      </Button>
      <Button icon={SkipForward} disabled={busy !== null} onClick={skip}>
        {words.decide.skip} <kbd>S</kbd>
      </Button>
    </div>
  );
}
