import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { texts } from "../texts";

/** The frame of every page: its name, what can be done there, and its content. */
export function Page({
  title,
  heading,
  hint,
  actions,
  children,
}: {
  title: string;
  /** What stands as heading, if it is more than the title. */
  heading?: ComponentChildren;
  hint?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${title} · ${texts.product}`;
  }, [title]);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>{heading ?? title}</h1>
          {hint && <p>{hint}</p>}
        </div>
        {actions && <div class="row wrap">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Card({
  title,
  actions,
  children,
  flush = false,
  class: more = "",
}: {
  title?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
  /** Without space around the content: for tables and pictures. */
  flush?: boolean;
  class?: string;
}) {
  return (
    <section class={`card ${more}`}>
      {(title || actions) && (
        <div class="card-head">
          <h2>{title}</h2>
          {actions}
        </div>
      )}
      {flush ? children : <div class="card-body">{children}</div>}
    </section>
  );
}

/** The frame of a wide table, which scrolls on a narrow screen, also by the keyboard. */
export function TableFrame({
  label,
  children,
  class: more = "",
}: {
  label: string;
  children: ComponentChildren;
  class?: string;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard.
    <section class={`table-frame ${more}`} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
