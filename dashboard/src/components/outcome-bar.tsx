import type { Counts } from "../api/types";
import { integer } from "../logic/format";
import { texts } from "../texts";

const ORDER = ["pass", "review", "unreadable", "fail"] as const;

/** One bar with the shares of the verdicts. Its words are for who cannot see it. */
export function OutcomeBar({ counts }: { counts: Counts }) {
  const words = ORDER.map((verdict) => `${texts.verdicts[verdict]} ${integer(counts[verdict])}`).join(", ");
  return (
    <div class="outcome-bar" role="img" aria-label={words} title={words}>
      {ORDER.map(
        (verdict) =>
          counts[verdict] > 0 && <span key={verdict} class={`v-${verdict}`} style={{ flexGrow: counts[verdict] }} />,
      )}
    </div>
  );
}
