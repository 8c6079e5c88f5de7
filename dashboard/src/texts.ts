// All words of the dashboard, for translation. Pages take them from here and write none of their own.
import type { Group, Verdict } from "./api/types";

const count = (n: number, one: string, many: string): string => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const texts = {
  product: "Loupe",
  skip: "Skip to content",
  verdicts: { pass: "Pass", fail: "Fail", review: "Review", unreadable: "Unreadable" } satisfies Record<
    Verdict,
    string
  >,
  /** What an operator reads from two metres away. */
  calls: { pass: "OK", fail: "NG", review: "CHECK", unreadable: "NO READ" } satisfies Record<Verdict, string>,
  callMeanings: {
    pass: "No defect found",
    fail: "Defect found",
    review: "A person has to decide",
    unreadable: "The picture could not be read",
  } satisfies Record<Verdict, string>,
  decisions: { pass: "Good", fail: "Defective", unusable: "Picture unusable" } as Record<string, string>,
  severities: { minor: "Minor", major: "Major", critical: "Critical" } as Record<string, string>,
  groups: { viewer: "Viewer", operator: "Operator", reviewer: "Reviewer", admin: "Administrator" } satisfies Record<
    Group,
    string
  >,
  noGroup: "No group",

  nav: {
    label: "Pages",
    lines: "Lines",
    inspections: "Inspections",
    statistics: "Statistics",
    review: "Review",
    thresholds: "Thresholds",
    zones: "Zones",
    datasets: "Data sets",
    models: "Models",
    runs: "Training",
    quality: "Quality",
    learning: "Model",
    theme: "Light or dark",
    signOut: "Sign out",
  },

  session: {
    title: "Sign in to Loupe",
    user: "User name",
    password: "Password",
    show: "Show password",
    submit: "Sign in",
    newTitle: "Choose a new password",
    newHint: "Your password was set by somebody else. Choose one that only you know.",
    newPassword: "New password",
    again: "New password again",
    differ: "The two passwords differ.",
    save: "Save and sign in",
    entering: "Signing in…",
    codeFailed: "This link has been used or is too old. Sign in, or open a new one with `loupe dashboard`.",
    ended: "Your session has ended. Sign in again.",
    forbiddenTitle: "You are signed in, but may not see anything yet",
    forbidden: "Your user is in no group. Ask an administrator: loupe users add NAME --group viewer",
    notFoundTitle: "There is no such page",
    notFound: "The address may be mistyped, or your group may not open the page.",
    home: "Go to the lines",
  },

  errors: {
    title: "This could not be loaded",
    offline: "Loupe does not answer. Check the network.",
    retry: "Try again",
    status: (status: number): string =>
      status === 403
        ? "Your group may not do this."
        : status === 429
          ? "Too many requests at once. Try again in a moment."
          : status >= 500
            ? `Loupe has a problem (status ${status}). Try again in a moment.`
            : `Loupe refused this (status ${status}).`,
    picture: "The picture is no longer stored",
    noPicture: "No picture",
    crashed: "This page has failed. Reload it; if it fails again, tell whoever runs Loupe:",
    reload: "Reload",
  },

  common: {
    loading: "Loading…",
    close: "Close",
    cancel: "Cancel",
    save: "Save",
    all: "All",
    more: "Show more",
    clear: "Clear filters",
    unknown: "unknown",
    none: "none",
    table: "Show as a table",
    chart: "Show as a chart",
    images: (n: number): string => count(n, "image", "images"),
    pictures: (n: number): string => count(n, "picture", "pictures"),
    of: "of",
    by: "by",
  },

  ranges: {
    label: "Period",
    presets: {
      "15m": "Last 15 minutes",
      "1h": "Last hour",
      "8h": "Last 8 hours",
      "24h": "Last 24 hours",
      "7d": "Last 7 days",
      "30d": "Last 30 days",
      "90d": "Last 90 days",
    } as Record<string, string>,
    since: "From",
    until: "To",
    apply: "Apply",
    custom: "Own period",
    backwards: "The end lies before the beginning.",
    to: "to",
    now: "now",
  },

  picture: {
    alt: (serial: string, verdict: string): string => `Picture of ${serial}: ${verdict}`,
    boxes: "Boxes",
    original: "Open the original",
  },

  lines: {
    title: "Lines",
    hint: "What every line saw last, and its last 8 hours",
    emptyTitle: "No images yet",
    empty: "Drop one into the images bucket, under incoming/<line>/<station>/, or on this machine:",
    emptyCommand: "loupe drop FOLDER --to LINE/STATION",
    inspected: "Inspected",
    defective: "Defective",
    toReview: "To review",
    yield: "Yield",
    yieldHint: "Share of the judged products that passed. What waits for a review or could not be read is not judged.",
    station: "Station",
    last: "last",
    quiet: "No image for",
    nothing: "No image in the last 8 hours",
    disconnected: "Loupe does not answer. What you see may be old.",
  },

  health: {
    serving: "Model serving",
    notServing: (status: string): string =>
      `The model endpoint is not in service (${status}). Images wait in the queue.`,
    noModel: "No model serves yet. Images wait in the queue until one does.",
    alarm: "Alarm",
    alarms: (n: number): string => count(n, "alarm", "alarms"),
    since: "since",
    rules: "Rules",
    endpoint: "Endpoint",
    model: "Model",
  },

  ago: {
    now: "just now",
    seconds: (n: number): string => `${n} s ago`,
    minutes: (n: number): string => `${n} min ago`,
    hours: (n: number): string => `${n} h ago`,
    days: (n: number): string => count(n, "day ago", "days ago"),
  },
};
