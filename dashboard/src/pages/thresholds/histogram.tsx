import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Histogram as Bins, Scores } from "../../api/paths.rules";
import { score } from "../../logic/format";
import { words } from "./words";

/** From the bottom to the top: nobody has found the class there, nobody has decided, people have found it. */
const KINDS = ["accepted", "undecided", "rejected"] as const;
const NAMES = ["review_score", "fail_score"] as const;
const STEP = 0.01;
const FAR = 0.1;

interface HistogramProps {
  label: string;
  /** Undefined while it is loaded. */
  bins: Bins | undefined;
  scores: Scores;
  inForce: Scores;
  onChange: (name: keyof Scores, value: number) => void;
}

export function countsOf(bins: Bins): { accepted: number; rejected: number; undecided: number } {
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return { accepted: sum(bins.accepted), rejected: sum(bins.rejected), undecided: sum(bins.undecided) };
}

/** How many detections of a class had which score, and the two scores that decide, to be dragged. */
export function Histogram({ label, bins, scores, inForce, onChange }: HistogramProps): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  return (
    <div class="histogram">
      <div class="histogram-plot" ref={frame}>
        <span class="ground review" style={span(scores.review_score, scores.fail_score)} />
        <span class="ground fail" style={span(scores.fail_score, 1)} />
        {bins && <Bars label={label} bins={bins} />}
        {NAMES.map((name) => (
          <span key={name} class="in-force" style={{ left: share(inForce[name]) }} title={words.inForce} />
        ))}
        {NAMES.map((name) => (
          <Slider key={name} label={label} name={name} value={scores[name]} frame={frame} onChange={onChange} />
        ))}
      </div>
      <div class="histogram-axis" aria-hidden="true">
        {[0, 0.25, 0.5, 0.75, 1].map((tick) => (
          <span key={tick} style={{ left: share(tick) }}>
            {tick}
          </span>
        ))}
      </div>
    </div>
  );
}

const share = (value: number): string => `${value * 100}%`;
const span = (from: number, to: number) => ({ left: share(from), width: share(Math.max(0, to - from)) });

function Bars({ label, bins }: { label: string; bins: Bins }): JSX.Element {
  const { edges } = bins;
  const counts = countsOf(bins);
  const stacks = edges.slice(1).map((_, bar) => KINDS.map((kind) => bins[kind][bar] ?? 0));
  const most = Math.max(1, ...stacks.map((stack) => stack.reduce((sum, value) => sum + value, 0)));
  const described = words.histogram(label, words.counts(counts));
  return (
    <svg viewBox="0 0 1 1" preserveAspectRatio="none" role="img" aria-label={described}>
      {stacks.map((stack, bar) => {
        const [left = 0, right = 0] = edges.slice(bar, bar + 2);
        let bottom = 1;
        return stack.map((value, kind) => {
          const height = (value / most) * 0.92;
          bottom -= height;
          const name = KINDS[kind] ?? "undecided";
          const gap = (right - left) * 0.08;
          return (
            value > 0 && (
              <rect
                key={`${left} ${name}`}
                class={`bar-${name}`}
                x={left + gap}
                y={bottom}
                width={right - left - 2 * gap}
                height={height}
              />
            )
          );
        });
      })}
    </svg>
  );
}

interface SliderProps {
  label: string;
  name: keyof Scores;
  value: number;
  frame: { current: HTMLDivElement | null };
  onChange: (name: keyof Scores, value: number) => void;
}

/** The value that a key means; null if it is none of a slider's keys. */
export function keyed(key: string, shift: boolean, value: number): number | null {
  const step = shift ? FAR : STEP;
  const moves: Record<string, number> = {
    ArrowLeft: value - step,
    ArrowDown: value - step,
    ArrowRight: value + step,
    ArrowUp: value + step,
    PageDown: value - FAR,
    PageUp: value + FAR,
    Home: 0,
    End: 1,
  };
  const next = moves[key];
  return next === undefined ? null : Math.round(Math.min(1, Math.max(0, next)) * 1000) / 1000;
}

function Slider({ label, name, value, frame, onChange }: SliderProps): JSX.Element {
  function drag(event: PointerEvent) {
    const box = frame.current?.getBoundingClientRect();
    if (!box || !(event.currentTarget as HTMLElement).hasPointerCapture(event.pointerId)) return;
    const at = (event.clientX - box.left) / box.width;
    onChange(name, Math.round(Math.min(1, Math.max(0, at)) / STEP) * STEP);
  }
  return (
    <div
      class={`threshold ${name === "fail_score" ? "fail" : "review"}`}
      style={{ left: share(value) }}
      role="slider"
      tabIndex={0}
      aria-label={words.slider(words.scores[name], label)}
      aria-valuemin={0}
      aria-valuemax={1}
      aria-valuenow={value}
      aria-valuetext={score(value)}
      onKeyDown={(event) => {
        const next = keyed(event.key, event.shiftKey, value);
        if (next === null) return;
        event.preventDefault();
        onChange(name, next);
      }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        event.currentTarget.focus();
      }}
      onPointerMove={drag}
    >
      <span class="threshold-grip" />
    </div>
  );
}
