import type { HistoryEntry, InspectionDetails } from "../../api/types";
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

function eventsOf({ received_at, inspected_at, verdict, acknowledged, history }: InspectionDetails): Event[] {
  const events: Event[] = [
    { at: received_at, title: words.events.received },
    { at: inspected_at, title: words.events.inspected(texts.verdicts[verdict] ?? verdict) },
    ...history.map((entry) => ({
      at: timeOf(entry),
      title: words.actions[entry.action]?.(decisionOf(entry.new)) ?? entry.action,
      by: entry.by,
      comment: entry.comment,
    })),
  ];
  if (acknowledged && !history.some((entry) => entry.action.startsWith("acknowledg"))) {
    events.push({ at: acknowledged.at, title: words.events.acknowledged, by: acknowledged.by });
  }
  return events.sort((a, b) => a.at.localeCompare(b.at));
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
