import { CircleCheck, CircleHelp, CircleX, EyeOff, type LucideIcon } from "lucide-preact";
import type { Verdict } from "../api/types";
import { texts } from "../texts";

const ICONS: Record<Verdict, LucideIcon> = {
  pass: CircleCheck,
  fail: CircleX,
  review: CircleHelp,
  unreadable: EyeOff,
};

/** The style class of a verdict; what is unknown looks neutral, never like a pass. */
export const verdictClass = (verdict: string): string => (verdict in ICONS ? `v-${verdict}` : "v-neutral");

export function VerdictIcon({ verdict, size = 16 }: { verdict: string; size?: number }) {
  const Icon = ICONS[verdict as Verdict] ?? CircleHelp;
  return <Icon size={size} aria-hidden="true" />;
}

/** Colour, icon and word together: none of them alone tells everybody. */
export function VerdictBadge({ verdict, solid = false }: { verdict: string; solid?: boolean }) {
  return (
    <span class={`badge ${verdictClass(verdict)}${solid ? " solid" : ""}`}>
      <VerdictIcon verdict={verdict} size={15} />
      {texts.verdicts[verdict as Verdict] ?? verdict}
    </span>
  );
}
