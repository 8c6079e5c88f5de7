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
    datasets: "Data sets",
    models: "Models",
    runs: "Training",
    quality: "Quality",
    learning: "Model",
    more: "More",
    theme: "Light or dark",
    signOut: "Sign out",
  },

  session: {
    title: "Sign in to Loupe",
    user: "User name",
    password: "Password",
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
    all: "All",
    more: "Show more",
    clear: "Clear filters",
    unknown: "unknown",
    table: "Show as a table",
    pictures: (n: number): string => count(n, "picture", "pictures"),
    by: "by",
  },

  ranges: {
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
    backwards: "The end lies before the beginning.",
    to: "to",
    now: "now",
  },

  picture: {
    alt: (serial: string, verdict: string): string => `Picture of ${serial}: ${verdict}`,
    boxes: "Boxes",
    original: "Open the original",
  },

  heatMap: {
    name: "Heat map",
    toggle: "Heat map (H)",
    strength: "Strength of the heat map",
    hottest: (x: number, y: number, width: number, height: number): string => {
      const third = (share: number, names: [string, string, string]): string =>
        names[Math.min(2, Math.floor(share * 3))] ?? "";
      const where = [third(y, ["upper", "middle", "lower"]), third(x, ["left", "centre", "right"])].join(" ");
      return `Heat map: hottest at ${Math.round(x * width)}, ${Math.round(y * height)} pixels, ${where}`;
    },
    cold: "Heat map: nothing is unusual",
  },

  anomaly: {
    score: (score: string): string => `Anomaly ${score}`,
    notJudged: "Anomaly not judged",
    seenBy: (model: string): string => `seen by ${model}`,
  },

  lines: {
    title: "Lines",
    hint: "What every line saw last, and its last 8 hours",
    emptyTitle: "No images yet",
    empty:
      "A line appears here with its first image. Cameras put images into the images bucket, under incoming/<line>/<station>/; by hand it is:",
    emptyCommand: "loupe drop photos --line press-2 --station front",
    inspected: "Inspected",
    defective: "Defective",
    toReview: "To review",
    yield: "Yield",
    station: "Station",
    nothing: "No image in the last 8 hours",
    disconnected: "Loupe does not answer. What you see may be old.",
  },

  line: {
    shift: "Shift",
    lastHours: "Last 8 hours",
    since: (hour: string): string => `Since ${hour}`,
    sound: "Sound at NG",
    hold: "Stop at NG until it is acknowledged",
    full: "Full screen",
    several: (label: string, count: number, surest: string): string => `${label} × ${count}, up to ${surest}`,
    waiting: "Waiting for the first image",
    waitingHint: "The line has sent nothing in the last two days.",
    live: "Back to live",
    notLive: "NOT LIVE",
    acknowledge: "Acknowledge",
    acknowledgedBy: (name: string): string => `Acknowledged by ${name}`,
    lastFailed: "Last NG",
    noneFailed: "No NG in the last 7 days.",
    open: (n: number): string => `${n} to acknowledge`,
    quiet: (when: string): string => `The line is silent: the last image came ${when}.`,
  },

  inspections: {
    title: "Inspections",
    hint: "Every picture that was judged, newest first",
    view: "View",
    gallery: "Pictures",
    table: "Table",
    export: "Export CSV",
    exported: "The inspections were exported.",
    exportedPart: "The newest 10,000 inspections were exported. Choose a shorter period for the others.",
    verdict: "Verdict",
    serial: "Serial",
    line: "Line",
    station: "Station",
    defect: "Defect",
    model: "Model",
    received: "Received",
    decided: "What decided",
    reviewed: "Decision",
    picture: "Picture",
    allLines: "All lines",
    allStations: "All stations",
    allDefects: "All defects",
    allModels: "All models",
    noReason: "No defect found",
    nothing: "Nothing found",
    nothingHint: "No inspection fits these filters. Choose a longer period, or remove a filter.",
    shown: (n: number): string => `${count(n, "inspection", "inspections")} shown`,
  },

  inspection: {
    title: "Inspection",
    why: "Why",
    facts: "Facts",
    history: "History",
    weak: (n: number): string => `${count(n, "weak detection", "weak detections")}, which decided nothing`,
    scoreOf: (value: string, limit: string): string => `score ${value}, a defect from ${limit}`,
    sameSerial: (serial: string): string => `Other pictures of ${serial}`,
    back: "Results",
    before: "Former result (arrow key left)",
    after: "Next result (arrow key right)",
    position: (n: number, of: number): string => `${n} / ${of}`,
    onlyPicture: "This is its only picture.",
    review: "Review",
    reviewAgain: "Second opinion",
    acknowledged: "Acknowledged.",
    queued: "Waits in the review queue.",
    disagreement: "Two people have decided differently.",
    differs: (decision: string): string => `A person has decided otherwise: ${decision}.`,
    judgement: "Judgement",
    judgementNumber: (number: number): string => `No. ${number}, judged again`,
    captured: "Captured",
    received: "Received",
    inspected: "Judged",
    image: "Image",
    model: "Model",
    anomalyModel: "Anomaly model",
    rules: "Rules",
    object: "Stored as",
    version: "Version",
    id: "Inspection",
    quality: "Picture quality",
    qualities: {
      sharpness: "Sharpness",
      exposure: "Exposure",
      clipped: "Clipped",
      dark: "Black",
      bright: "White",
    } as Record<string, string>,
    timings: "Times",
    timingNames: {
      read: "Reading the image",
      endpoint: "Model endpoint",
      queued: "In the queue",
      total: "Whole inspection",
      model_receive: "Model: receiving",
      model_queue: "Model: waiting",
      model_decode: "Model: decoding",
      model_wait: "Model: batching",
      model_inference: "Model: inference",
      model_total: "Model: in all",
    } as Record<string, string>,
    events: {
      received: "Image received",
      inspected: (verdict: string): string => `Judged: ${verdict}`,
      judgedAgain: (before: string, after: string, model: string): string =>
        `Judged again: ${before} → ${after}${model && ` (model ${model})`}`,
      acknowledged: "Acknowledged",
    },
    /** What the history's actions are called; `decision` is what was decided, or empty. */
    actions: {
      decision: (decision) => `Reviewed: ${decision}`,
      decide: (decision) => `Reviewed: ${decision}`,
      decided: (decision) => `Reviewed: ${decision}`,
      acknowledge: () => "Acknowledged",
      acknowledged: () => "Acknowledged",
      acknowledgement: () => "Acknowledged",
      claim: () => "Taken for review",
      release: () => "Given back to the queue",
    } as Record<string, (decision: string) => string>,
  },

  statistics: {
    title: "Statistics",
    hint: "What was inspected and found, and how far the verdicts can be trusted",
    nothing: "Nothing was inspected in this period",
    nothingHint: "Choose a longer period, or another line.",
    countedSince: (when: string): string => `Counted since ${when}.`,
    inspected: "Inspected",
    inspectedHint: "pictures in this period",
    yield: "Yield",
    passed: "passed at once",
    defectRate: "Defect rate",
    failed: "failed",
    reviewShare: "To review",
    toReview: "left to a person",
    unreadable: "Unreadable",
    ofAll: (n: string, what: string): string => `${n} ${what}`,
    rate: "Defect rate over time",
    pareto: "Most frequent defects",
    noDefects: "No defect was found in this period.",
    volume: "Inspected over time",
    byStation: "By station",
    byModel: "By model",
    name: "Name",
    outcome: "Verdicts",
    hour: "Hour",
    day: "Day (UTC)",
    limits: "Limits",
  },

  charts: {
    tooFew: (by: "hour" | "day"): string => `Too few ${by}s with pictures to tell a change from chance.`,
    controlLabel: (n: number, outside: number, centre: string): string =>
      `Control chart of the defect rate: ${n} points about a mean of ${centre}, ${outside} of them outside the limits`,
    controlHint: (outside: number, by: "hour" | "day"): string =>
      outside === 0
        ? `Every ${by} lies within its limits (dashed, three sigma): what goes up and down is chance.`
        : `${count(outside, by, `${by}s`)} outside the limits (dashed, three sigma): this is rarely chance. Look for what changed.`,
    defective: (fail: string, inspected: string, rate: string): string => `${fail} of ${inspected} defective, ${rate}`,
    limits: (lower: string, upper: string): string => `limits ${lower} to ${upper}`,
    outside: { above: "above the limit", below: "below the limit" },
    volumeLabel: "Inspected pictures over time, by verdict. The table below has the numbers.",
    others: "all others",
    cumulative: "together with those above",
    paretoHint:
      "Bars: failed pictures with the defect. Line and last column: share of this and all above. Choose a name to see the pictures.",
  },

  rates: {
    title: "Escape and overkill",
    escape: "Escape rate",
    escapeHint: "Of the defective products, the share that passes",
    overkill: "Overkill rate",
    overkillHint: "Of the good products, the share that fails",
    explanation:
      "Estimated from what people decided about a random sample of the pictures; the model does not judge itself. The bar shows where the true rate lies with 95 % confidence; more reviews make it shorter.",
    decided: (n: string, disagreements: string): string => `${n} reviewed, ${disagreements} with different opinions.`,
    unmeasured: "Not measured yet: nothing of this kind was reviewed.",
    between: (low: string, high: string): string => `${low} to ${high}`,
    counts: (wrong: string, reviewed: string, of: string): string =>
      `${wrong} wrong of ${reviewed} reviewed, of ${of} in all`,
    by: "By",
    byLine: "By line",
    byLabel: "By defect",
    byModel: "By model",
  },

  health: {
    notServing: (status: string): string =>
      `The model endpoint is not in service (${status}). Images wait in the queue.`,
    rests: (until: string): string => `The model endpoint rests until ${until}. Images wait for the shift.`,
    noModel: "No model serves yet. Images wait in the queue until one does.",
    alarm: "Alarm",
  },

  ago: {
    now: "just now",
    seconds: (n: number): string => `${n} s ago`,
    minutes: (n: number): string => `${n} min ago`,
    hours: (n: number): string => `${n} h ago`,
    days: (n: number): string => count(n, "day ago", "days ago"),
  },
};
