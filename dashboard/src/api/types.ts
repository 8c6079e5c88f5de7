// The names under which the pages know the API's objects.

export type Verdict = "pass" | "fail" | "review" | "unreadable";
export type Group = "viewer" | "operator" | "reviewer" | "admin";
export type Box = [number, number, number, number];

export interface Detection {
  label: string;
  score: number;
  box: Box;
  /** Which model found it, if two have judged. */
  model?: string | null;
}

/** How unusual a picture is to a model that has learned good parts alone. */
export interface Anomaly {
  /** Null if the picture shows another product than the model has learned, or none. */
  score: number | null;
  distance: number;
  model: { name: string; version: string };
  /** A data URL of a small grey PNG, stretched over the picture; null in lists. */
  heat_map: string | null;
}

export interface Reason {
  code: string;
  message: string;
  label?: string | null;
  score?: number | null;
  fail_score?: number | null;
  severity?: string | null;
  detection?: number | null;
}

export interface Links {
  picture: string;
  annotated: string | null;
  thumbnail: string | null;
}

export interface ReviewMark {
  by: string;
  at: string;
  verdict: string;
  comment?: string | null;
  disagreement?: boolean | null;
}

export interface Inspection {
  id: string;
  line: string;
  station: string;
  serial: string;
  captured_at: string;
  received_at: string;
  inspected_at: string;
  verdict: Verdict;
  severity?: string | null;
  reasons: Reason[];
  detections: Detection[];
  image: string;
  version_id: string;
  image_width?: number | null;
  image_height?: number | null;
  image_bytes?: number | null;
  image_format?: string | null;
  model?: { name: string; version: string } | null;
  anomaly?: Anomaly | null;
  rules_version?: string | null;
  quality?: Record<string, number> | null;
  timings_ms?: Record<string, number> | null;
  doubts?: string[] | null;
  review?: ReviewMark | null;
  acknowledged?: { by: string; at: string } | null;
  /** That it was judged again: when, and which judgement this is. */
  replay?: { at: string; number: number } | null;
  links: Links;
}

export interface HistoryEntry {
  by: string;
  at?: string;
  at_id?: string;
  action: string;
  old?: unknown;
  new?: unknown;
  comment?: string | null;
}

export interface ReviewObject {
  label: string;
  box: Box;
}

export interface Decision {
  by: string;
  at: string;
  verdict: "pass" | "fail" | "unusable";
  objects: ReviewObject[];
  comment?: string | null;
}

export interface Review {
  id: string;
  image: string;
  version_id: string;
  line: string;
  station: string;
  serial: string;
  verdict: Verdict;
  cause: "verdict" | "sample";
  /** Why it is worth a person's time, as sentences. */
  why?: string[] | null;
  share: number;
  priority: number;
  received_at: string;
  state: "open" | "decided";
  claim?: { by: string; until: string } | null;
  version: number;
  decisions: Decision[];
  disagreement?: boolean | null;
  links?: Links | null;
  claimable?: boolean;
}

export interface InspectionDetails extends Inspection {
  history: HistoryEntry[];
  queue: Review | null;
}

export interface Place {
  line: string;
  station: string;
  first_seen: string;
  last_seen: string;
  models: string[];
}

export interface Counts {
  inspected: number;
  pass: number;
  fail: number;
  review: number;
  unreadable: number;
  defects: Record<string, number>;
}

export interface Bucket extends Counts {
  start: string;
}

export interface Statistics {
  buckets: Bucket[];
  totals: Counts;
  lines: (Counts & { line: string; station: string })[];
  models: (Counts & { version: string })[];
  /** Records from before this time are in no count. */
  counted_since?: string | null;
  /** The control chart of the failed share: its centre, and the limits of each bucket. */
  control: { centre: number | null; lower: (number | null)[]; upper: (number | null)[] };
}

export interface Rate {
  value: number | null;
  low: number | null;
  high: number | null;
  wrong: number;
  reviewed: number;
  of: number;
}

export interface MeasuredRate extends Rate {
  /** Why there is no value, as a sentence. */
  reason: string | null;
}

interface RatePair {
  escape: MeasuredRate;
  overkill: MeasuredRate;
}

export interface Rates extends RatePair {
  by_line: (RatePair & { line: string })[];
  by_label: (RatePair & { label: string })[];
  by_model: (RatePair & { version: string })[];
  disagreements: number;
  decided: number;
}

/** What the feed tells about an inspection. */
export interface Change {
  id: string;
  line: string;
  station: string;
  serial: string;
  verdict: Verdict;
  severity?: string | null;
  reasons: Reason[];
  received_at: string;
  inspected_at: string;
}

export interface Alarm {
  name: string;
  /** What it means, and what to do. */
  description: string;
  state: string;
  reason: string;
  since: string;
}

export interface Health {
  endpoint: {
    name: string;
    status: string;
    model: { name: string; version: string } | null;
    since?: string | null;
    /** When the next shift begins, if it rests until then. */
    rests_until?: string | null;
  } | null;
  lines: { line: string; last_seen: string; last_hour: { inspected: number; fail: number; review: number } }[];
  alarms: Alarm[];
  rules_version: string | null;
  /** What could not be found out, in sentences. */
  problems: string[];
}

export interface User {
  name: string;
  groups: Group[];
}

export interface Session {
  token: string;
  expires_in: number;
  user: User;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}
