import type { LucideIcon } from "lucide-preact";
import type { ButtonHTMLAttributes, ComponentChildren } from "preact";

interface Props extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "icon" | "size"> {
  kind?: "plain" | "primary" | "danger" | "quiet";
  large?: boolean;
  busy?: boolean;
  icon?: LucideIcon;
  children?: ComponentChildren;
}

/** While it is `busy`, it shows so and cannot be pressed again. A button without children needs an `aria-label`. */
export function Button({ kind = "plain", large, busy = false, icon: Icon, children, disabled, ...rest }: Props) {
  const shape = children === undefined ? " icon" : "";
  return (
    <button
      type="button"
      {...rest}
      class={`button ${kind}${large ? " large" : ""}${shape} ${rest.class ?? ""}`}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      title={rest.title ?? (children === undefined ? rest["aria-label"] : undefined)}
    >
      {busy ? <span class="spinner" /> : Icon && <Icon size={large ? 22 : 18} aria-hidden="true" />}
      {children}
    </button>
  );
}
