import { Ellipsis, LogOut, MoonStar, SunMedium } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { can, rank, signOut, user } from "../api/session";
import { path } from "../logic/location";
import { switchTheme, theme } from "../logic/theme";
import { type PageRoute, routes } from "../routes";
import { texts } from "../texts";
import { Brand } from "./brand";
import { Toasts, toastError } from "./toasts";

const SECTIONS: { section: NonNullable<PageRoute["nav"]>["section"]; title?: string }[] = [
  { section: "lines" },
  { section: "quality", title: texts.nav.quality },
  { section: "learning", title: texts.nav.learning },
];

/** Navigation and content. What the person's group may not open is not offered. */
export function Shell({ children }: { children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  // On a phone, the navigation shows the first pages, and opened all of them.
  const [open, setOpen] = useState(false);
  const place = path.value;
  // Another page begins at its top, also for a person who hears it.
  useEffect(() => {
    setOpen(false);
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [place]);
  return (
    <>
      <button type="button" class="button skip" onClick={() => main.current?.focus()}>
        {texts.skip}
      </button>
      <header class={`rail${open ? " open" : ""}`}>
        <Brand link />
        <nav aria-label={texts.nav.label}>
          {SECTIONS.map(({ section, title }) => (
            <Section
              key={section}
              name={section}
              title={title}
              routes={routes.filter((route) => route.nav?.section === section)}
            />
          ))}
        </nav>
        <button type="button" class="rail-link rail-more" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Ellipsis size={20} aria-hidden="true" />
          <span class="word">{texts.nav.more}</span>
        </button>
        <Account />
      </header>
      <main class="main" id="main" tabIndex={-1} ref={main}>
        {children}
      </main>
      <Toasts />
    </>
  );
}

function Section({ name, title, routes }: { name: string; title?: string; routes: PageRoute[] }) {
  const allowed = routes.filter((route) => can(route.group));
  if (allowed.length === 0) return null;
  return (
    <div class={`rail-${name}`}>
      {title && <div class="rail-title">{title}</div>}
      {allowed.map((route) => (
        <RailLink key={route.path} route={route} />
      ))}
    </div>
  );
}

function RailLink({ route }: { route: PageRoute }) {
  if (!route.nav) return null;
  const { name, icon: Icon } = route.nav;
  const here =
    route.path === "/"
      ? path.value === "/" || path.value.startsWith("/line/")
      : path.value === route.path || path.value.startsWith(`${route.path}/`);
  return (
    <a class="rail-link" href={`#${route.path}`} aria-current={here ? "page" : undefined} title={name}>
      <Icon size={20} aria-hidden="true" />
      <span class="word">{name}</span>
    </a>
  );
}

function Account() {
  const group = (["viewer", "operator", "reviewer", "admin"] as const)[rank.value];
  const ThemeIcon = theme() === "dark" ? SunMedium : MoonStar;
  return (
    <div class="rail-foot">
      <div class="who word">
        <div class="clip">{user.value?.name}</div>
        <div class="muted small">{group ? texts.groups[group] : texts.noGroup}</div>
      </div>
      <button
        type="button"
        class="rail-link"
        onClick={switchTheme}
        title={texts.nav.theme}
        aria-label={texts.nav.theme}
      >
        <ThemeIcon size={20} aria-hidden="true" />
        <span class="word">{texts.nav.theme}</span>
      </button>
      <button
        type="button"
        class="rail-link"
        onClick={() => signOut().catch(toastError)}
        title={texts.nav.signOut}
        aria-label={texts.nav.signOut}
      >
        <LogOut size={20} aria-hidden="true" />
        <span class="word">{texts.nav.signOut}</span>
      </button>
    </div>
  );
}
