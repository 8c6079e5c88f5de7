import type { HistoryEntry, InspectionDetails, Verdict } from "../../api/types";
import { Card } from "../../components/page";
import { dateTime } from "../../logic/format";
import { texts } from "../../texts";

const words = texts.inspection;

interface Event {
  at: string;
  title: string;
  by?: string;
  comment?: string | null;
}

/** The time of an entry; older ones carry it in their key, before a random part. */
const timeOf = (entry: HistoryEntry): string => entry.at ?? entry.at_id?.split("#")[0] ?? "";

interface Judgement {
  verdict?: Verdict;
  inspected_at?: string;
  model?: { version?: string } | null;
}

const JUDGED_AGAIN = "judged_again";

const verdictOf = ({ verdict }: Judgement): string => (verdict ? (texts.verdicts[verdict] ?? verdict) : "");

function eventsOf(inspection: InspectionDetails): Event[] {
  const { received_at, acknowledged, history } = inspection;
  // Of an image that was judged again, the history has the judgements before.
  const replaced = history.filter((entry) => entry.action === JUDGED_AGAIN);
  const first: Judgement = [inspection as Judgement, ...replaced.map((entry) => (entry.old ?? {}) as Judgement)].reduce(
    (a, b) => ((a.inspected_at ?? "") <= (b.inspected_at ?? "") ? a : b),
  );
  const events: Event[] = [
    { at: received_at, title: words.events.received },
    { at: first.inspected_at ?? received_at, title: words.events.inspected(verdictOf(first)) },
    ...history.map((entry) => ({
      at: timeOf(entry),
      title: entry.action === JUDGED_AGAIN ? judgedAgain(entry) : titleOf(entry),
      by: entry.by,
      comment: entry.comment,
    })),
  ];
  if (acknowledged && !history.some((entry) => entry.action.startsWith("acknowledg"))) {
    events.push({ at: acknowledged.at, title: words.events.acknowledged, by: acknowledged.by });
  }
  return events.sort((a, b) => a.at.localeCompare(b.at));
}

const titleOf = (entry: HistoryEntry): string => words.actions[entry.action]?.(decisionOf(entry.new)) ?? entry.action;

function judgedAgain(entry: HistoryEntry): string {
  const now = (entry.new ?? {}) as Judgement;
  return words.events.judgedAgain(verdictOf((entry.old ?? {}) as Judgement), verdictOf(now), now.model?.version ?? "");
}

function decisionOf(value: unknown): string {
  const verdict = typeof value === "string" ? value : (value as { verdict?: unknown } | null)?.verdict;
  return typeof verdict === "string" ? (texts.decisions[verdict] ?? verdict) : "";
}

export function History({ inspection }: { inspection: InspectionDetails }) {
  return (
    <Card title={words.history}>
      <ol class="timeline">
        {eventsOf(inspection).map(({ at, title, by, comment }) => (
          <li key={at + title}>
            <div>
              {title}
              {by && (
                <span class="muted">
                  {" "}
                  {texts.common.by} {by}
                </span>
              )}
            </div>
            <div class="muted small">{dateTime(at)}</div>
            {comment && <q>{comment}</q>}
          </li>
        ))}
      </ol>
      {inspection.queue?.state === "open" && <p class="muted small">{words.queued}</p>}
      {inspection.queue?.disagreement && <p class="small">{words.disagreement}</p>}
    </Card>
  );
}
