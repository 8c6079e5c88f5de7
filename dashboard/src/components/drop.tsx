import type { LucideIcon } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button } from "./button";

/** A button that opens a panel; Escape, a click elsewhere, or the panel's own `close` closes it. */
export function Drop({
  name,
  icon,
  end = false,
  set = false,
  children,
}: {
  name: string;
  icon?: LucideIcon;
  end?: boolean;
  set?: boolean;
  children: (close: () => void) => ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);

  // Not useEffect: it runs after the paint, and a key pressed in between would be lost.
  useLayoutEffect(() => {
    if (!open) return;
    const outside = (event: Event): void => {
      if (!frame.current?.contains(event.target as Node)) setOpen(false);
    };
    const closeOnEscape = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      setOpen(false);
      frame.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", closeOnEscape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", closeOnEscape);
    };
  }, [open]);

  return (
    <div class="drop" ref={frame}>
      <Button icon={icon} class={set ? "set" : ""} aria-expanded={open} onClick={() => setOpen(!open)}>
        {name}
      </Button>
      {open && <div class={`drop-panel${end ? " end" : ""}`}>{children(() => setOpen(false))}</div>}
    </div>
  );
}
