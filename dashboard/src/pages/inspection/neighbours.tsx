import { ArrowLeft, ChevronLeft, ChevronRight } from "lucide-preact";
import { useLayoutEffect } from "preact/hooks";
import { Button } from "../../components/button";
import { navigate } from "../../logic/location";
import { neighboursOf } from "../../logic/results";
import { texts } from "../../texts";

const words = texts.inspection;
const addressOf = (id: string): string => `/inspections/${encodeURIComponent(id)}`;

/** The way back to the search, and to its next and former result, also by the arrow keys. */
export function NeighbourLinks({ id }: { id: string }) {
  const found = neighboursOf(id);
  const before = found?.before;
  const after = found?.after;

  // Not useEffect: it runs after the paint, and a key pressed in between would be lost.
  useLayoutEffect(() => {
    const go = (event: KeyboardEvent): void => {
      const inField = event.target instanceof Element && event.target.closest("input, select, textarea");
      if (inField || event.altKey || event.ctrlKey || event.metaKey) return;
      const to = event.key === "ArrowLeft" ? before : event.key === "ArrowRight" ? after : null;
      if (to) navigate(addressOf(to), { replace: true });
    };
    document.addEventListener("keydown", go);
    return () => document.removeEventListener("keydown", go);
  }, [before, after]);

  if (!found) return null;
  return (
    <>
      <a class="button quiet" href={`#${found.address}`}>
        <ArrowLeft size={18} aria-hidden="true" />
        {words.back}
      </a>
      <Button
        icon={ChevronLeft}
        aria-label={words.before}
        disabled={!before}
        onClick={() => before && navigate(addressOf(before), { replace: true })}
      />
      <span class="muted nowrap">{words.position(found.position, found.count)}</span>
      <Button
        icon={ChevronRight}
        aria-label={words.after}
        disabled={!after}
        onClick={() => after && navigate(addressOf(after), { replace: true })}
      />
    </>
  );
}
