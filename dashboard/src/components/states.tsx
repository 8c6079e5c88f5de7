import { CircleAlert, Inbox, type LucideIcon, RotateCw, TriangleAlert } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { sentence } from "../api/errors";
import type { Loaded } from "../hooks/load";
import { texts } from "../texts";
import { Button } from "./button";

export function Empty({
  title,
  icon: Icon = Inbox,
  children,
}: {
  title: string;
  icon?: LucideIcon;
  children?: ComponentChildren;
}) {
  return (
    <div class="state">
      <Icon size={36} strokeWidth={1.5} aria-hidden="true" />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Loading({ height = 160 }: { height?: number }) {
  return (
    <div class="skeleton" style={{ height: `${height}px` }} role="status">
      <span class="visually-hidden">{texts.common.loading}</span>
    </div>
  );
}

/** A line with an icon. `kind` is a verdict's colour: fail for errors, review for warnings, pass for success. */
export function Notice({
  kind = "neutral",
  children,
  action,
}: {
  kind?: "fail" | "review" | "pass" | "neutral";
  children: ComponentChildren;
  action?: ComponentChildren;
}) {
  const Icon = kind === "review" ? TriangleAlert : CircleAlert;
  return (
    <div class={`notice v-${kind}`} role={kind === "fail" ? "alert" : "status"}>
      <Icon size={18} aria-hidden="true" />
      <div class="grow">{children}</div>
      {action}
    </div>
  );
}

export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <Notice
      kind="fail"
      action={
        retry && (
          <Button kind="quiet" icon={RotateCw} onClick={retry}>
            {texts.errors.retry}
          </Button>
        )
      }
    >
      <strong>{texts.errors.title}.</strong> {sentence(error)}
    </Notice>
  );
}

/** Shows what was loaded; until then a placeholder. An error stands above what was loaded before, unless `quiet`. */
export function Shown<T>({
  from,
  height,
  quiet = false,
  children,
}: {
  from: Loaded<T>;
  height?: number;
  /** The page tells by itself that what it shows may be old. */
  quiet?: boolean;
  children: (data: T) => ComponentChildren;
}) {
  return (
    <>
      {from.error !== undefined && !(quiet && from.data !== undefined) && (
        <Failed error={from.error} retry={from.reload} />
      )}
      {from.data !== undefined ? children(from.data) : from.loading && <Loading height={height} />}
    </>
  );
}
