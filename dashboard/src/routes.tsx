// The pages: address, who may open it, where it stands in the navigation, and the file that is loaded for it.
import {
  Boxes,
  ChartColumn,
  ClipboardCheck,
  Database,
  Factory,
  GraduationCap,
  Images,
  type LucideIcon,
  SlidersHorizontal,
} from "lucide-preact";
import type { ComponentType } from "preact";
import type { Group } from "./api/types";
import { texts } from "./texts";

export type PageComponent = ComponentType<{ params: Record<string, string> }>;

export interface PageRoute {
  /** Wouter's pattern; its parameters become the page's `params`. */
  path: string;
  /** The least group that may open it. */
  group: Group;
  load: () => Promise<{ default: PageComponent }>;
  /** It stays when its parameters change, so that its former content is there until the next has come. */
  stays?: true;
  /** Its place in the navigation; a page without one is reached from others. */
  nav?: { name: string; icon: LucideIcon; section: "lines" | "quality" | "learning" };
}

export const routes: PageRoute[] = [
  {
    path: "/",
    group: "viewer",
    load: () => import("./pages/lines"),
    nav: { name: texts.nav.lines, icon: Factory, section: "lines" },
  },
  { path: "/line/:line", group: "viewer", load: () => import("./pages/line") },
  {
    path: "/inspections",
    group: "viewer",
    load: () => import("./pages/inspections"),
    nav: { name: texts.nav.inspections, icon: Images, section: "lines" },
  },
  { path: "/inspections/:id", group: "viewer", stays: true, load: () => import("./pages/inspection") },
  {
    path: "/statistics",
    group: "viewer",
    load: () => import("./pages/statistics"),
    nav: { name: texts.nav.statistics, icon: ChartColumn, section: "lines" },
  },
  {
    path: "/review",
    group: "viewer",
    load: () => import("./pages/review"),
    nav: { name: texts.nav.review, icon: ClipboardCheck, section: "quality" },
  },
  {
    path: "/rules",
    group: "viewer",
    load: () => import("./pages/thresholds"),
    nav: { name: texts.nav.thresholds, icon: SlidersHorizontal, section: "quality" },
  },
  { path: "/rules/zones/:line", group: "viewer", load: () => import("./pages/zones") },
  {
    path: "/datasets",
    group: "viewer",
    load: () => import("./pages/datasets"),
    nav: { name: texts.nav.datasets, icon: Database, section: "learning" },
  },
  {
    path: "/runs",
    group: "viewer",
    load: () => import("./pages/runs"),
    nav: { name: texts.nav.runs, icon: GraduationCap, section: "learning" },
  },
  { path: "/runs/:name", group: "viewer", load: () => import("./pages/runs") },
  {
    path: "/models",
    group: "viewer",
    load: () => import("./pages/models"),
    nav: { name: texts.nav.models, icon: Boxes, section: "learning" },
  },
  { path: "/review/:id", group: "reviewer", load: () => import("./pages/review") },
];
