import { Ban, CircleCheck, CircleDashed, CircleX, LoaderCircle, Timer } from "lucide-preact";
import { words } from "./words";

const LOOKS = {
  running: ["v-neutral active", LoaderCircle],
  training: ["v-neutral active", LoaderCircle],
  tuning: ["v-neutral active", LoaderCircle],
  evaluating: ["v-neutral active", LoaderCircle],
  succeeded: ["v-pass", CircleCheck],
  done: ["v-pass", CircleCheck],
  failed: ["v-fail", CircleX],
  stopped: ["v-review", Ban],
  waiting: ["v-neutral", Timer],
  skipped: ["v-neutral", CircleDashed],
} as const;

/** The state of a run, a stage or a job: colour, icon and word. */
export function Status({ status }: { status: string }) {
  const [look, Icon] = LOOKS[status as keyof typeof LOOKS] ?? LOOKS.waiting;
  return (
    <span class={`badge ${look}`}>
      <Icon size={15} aria-hidden="true" />
      {words.statuses[status] ?? status}
    </span>
  );
}
