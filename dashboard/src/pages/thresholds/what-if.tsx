import { ArrowRight } from "lucide-preact";
import type { JSX } from "preact";
import type { Move, Preview } from "../../api/paths.rules";
import type { Rate, Verdict } from "../../api/types";
import { Card } from "../../components/page";
import { Notice } from "../../components/states";
import { Thumbnail } from "../../components/thumbnail";
import { VerdictBadge, verdictClass } from "../../components/verdict";
import { integer, percent } from "../../logic/format";
import { words } from "./words";

const VERDICTS = ["pass", "review", "fail"] as const;
const SHOWN = 12;
/** A scale for rates never ends below this share, or noise would look large. */
const LEAST_SCALE = 0.02;

/** What other rules would have made of the last images. */
export function WhatIf({ preview, stale }: { preview: Preview; stale: boolean }): JSX.Element {
  const { inspected, moves } = preview;
  return (
    <Card title={words.whatIf.title} class={stale ? "what-if stale" : "what-if"}>
      <div class="stack" aria-live="polite" aria-busy={stale}>
        <p class="muted small">{inspected ? words.whatIf.on(inspected) : words.whatIf.noImages}</p>
        <Verdicts preview={preview} />
        <Rates preview={preview} />
        {inspected > 0 && moves.length === 0 && <p class="muted">{words.whatIf.same}</p>}
        {moves.map((move) => (
          <Moves key={`${move.from} ${move.to}`} move={move} />
        ))}
        {preview.notes.map((note) => (
          <Notice key={note} kind="review">
            {note}
          </Notice>
        ))}
      </div>
    </Card>
  );
}

function Verdicts({ preview: { current, proposed, inspected } }: { preview: Preview }) {
  const row = (counts: Preview["current"], verdict: Verdict) => (counts[verdict] ?? 0) / Math.max(1, inspected);
  return (
    <table class="table plain-table">
      <thead>
        <tr>
          <th>{words.whatIf.verdict}</th>
          <th class="number">{words.whatIf.now}</th>
          <th class="number">{words.whatIf.after}</th>
          <td class="bars-column" />
        </tr>
      </thead>
      <tbody>
        {VERDICTS.map((verdict) => (
          <tr key={verdict} class={verdictClass(verdict)}>
            <td>
              <VerdictBadge verdict={verdict} />
            </td>
            <td class="number">{integer(current[verdict] ?? 0)}</td>
            <td class="number">
              <strong>{integer(proposed[verdict] ?? 0)}</strong>
            </td>
            <td aria-hidden="true">
              <span class="pair">
                <span style={{ width: `${row(current, verdict) * 100}%` }} />
                <span style={{ width: `${row(proposed, verdict) * 100}%` }} />
              </span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Rates({ preview }: { preview: Preview }) {
  const all = [preview.escape, preview.overkill].flatMap(({ current, proposed }) => [current, proposed]);
  const scale = Math.max(LEAST_SCALE, ...all.map(({ high }) => high ?? 0));
  return (
    <dl class="rates">
      <RatePair name={words.whatIf.escape} hint={words.whatIf.escapeHint} rates={preview.escape} scale={scale} />
      <RatePair name={words.whatIf.overkill} hint={words.whatIf.overkillHint} rates={preview.overkill} scale={scale} />
    </dl>
  );
}

interface RatePairProps {
  name: string;
  hint: string;
  rates: { current: Rate; proposed: Rate };
  scale: number;
}

function RatePair({ name, hint, rates, scale }: RatePairProps) {
  return (
    <div>
      <dt title={hint}>{name}</dt>
      <dd>
        <RateText name={words.whatIf.now} rate={rates.current} scale={scale} />
        <RateText name={words.whatIf.after} rate={rates.proposed} scale={scale} strong />
      </dd>
    </div>
  );
}

/** A rate with its 95 % interval, in words and as a line with a dot. */
function RateText({
  name,
  rate,
  scale,
  strong = false,
}: {
  name: string;
  rate: Rate;
  scale: number;
  strong?: boolean;
}) {
  const { value, low, high } = rate;
  const known = value !== null && low !== null && high !== null;
  const at = (share: number) => `${Math.min(1, share / scale) * 100}%`;
  return (
    <div class="rate" data-strong={strong}>
      <span class="muted small">{name}</span>
      <span class="nowrap">{known ? percent(value) : "–"}</span>
      <span class="interval" aria-hidden="true">
        {known && (
          <>
            <span class="reach" style={{ left: at(low), width: `calc(${at(high)} - ${at(low)})` }} />
            <span class="dot" style={{ left: at(value) }} />
          </>
        )}
      </span>
      <span class="muted small nowrap" title={words.whatIf.from(rate.wrong, rate.reviewed)}>
        {known ? words.whatIf.interval(percent(low), percent(high)) : words.whatIf.unknown}
      </span>
    </div>
  );
}

function Moves({ move }: { move: Move }) {
  const more = move.count - Math.min(move.ids.length, SHOWN);
  return (
    <section>
      <h3 class="row">
        <VerdictBadge verdict={move.from} />
        <ArrowRight size={16} aria-hidden="true" />
        <VerdictBadge verdict={move.to} />
        <span class="muted">{integer(move.count)}</span>
      </h3>
      <ul class="moved">
        {move.ids.slice(0, SHOWN).map((id) => (
          <li key={id}>
            <a href={`#/inspections/${encodeURIComponent(id)}`} aria-label={id}>
              <Thumbnail id={id} />
            </a>
          </li>
        ))}
      </ul>
      {more > 0 && <p class="muted small">{words.whatIf.others(more)}</p>}
    </section>
  );
}
