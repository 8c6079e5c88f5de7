import { Undo2 } from "lucide-preact";
import type { JSX } from "preact";
import type { ClassRule, Preview, RulesDocument, Scores } from "../../api/paths.rules";
import { Button } from "../../components/button";
import { Field, Select } from "../../components/fields";
import { differences, ruleOf, withRule, withScore } from "./document";
import { countsOf, Histogram } from "./histogram";
import { words } from "./words";

interface ClassCardProps {
  label: string;
  line: string;
  document: RulesDocument;
  inForce: RulesDocument;
  preview: Preview | undefined;
  change: (document: RulesDocument) => void;
}

/** The class of what anomaly models find (contract/scores.py). */
const ANOMALY = "anomaly";
/** What a defect makes of a product where the rules do not say it. */
const FAIL = "fail";
const LIMITS = ["allowed_count", "smallest_area", "largest_area"] as const;

/** The rule of a class: its scores over the histogram, and the rest on demand. */
export function ClassCard({ label, line, document, inForce, preview, change }: ClassCardProps): JSX.Element {
  const rule = ruleOf(document, line, label);
  const before = ruleOf(inForce, line, label);
  const bins = preview?.by_label[label]?.histogram;
  const verdict = rule.verdict ?? FAIL;
  const changed = differences(before, rule).length > 0;
  const counts = bins && countsOf(bins);

  const set = (values: ClassRule) => change(withRule(document, line, label, values));
  const setScore = (name: keyof Scores, value: number) => {
    const { fail_score, review_score } = rule;
    set(withScore({ fail_score, review_score }, name, value));
  };

  return (
    <section class="card class-card" aria-label={label} data-changed={changed} data-verdict={verdict}>
      <header class="class-head">
        <h2 class="clip" title={label}>
          {label}
        </h2>
        {verdict === "review" && <span class="badge plain v-review">{words.onlyReview}</span>}
        <span class="grow" />
        {changed && (
          <Button
            kind="quiet"
            icon={Undo2}
            aria-label={words.reset}
            onClick={() => change(restored(document, inForce, line, label))}
          />
        )}
        <Score name="review_score" label={label} value={rule.review_score} onChange={setScore} />
        <Score name="fail_score" label={label} value={rule.fail_score} onChange={setScore} />
      </header>
      {label === ANOMALY && <p class="class-hint muted small">{words.anomaly}</p>}
      <Histogram label={label} bins={bins} scores={rule} inForce={before} onChange={setScore} />
      <details class="class-more">
        <summary>
          {words.more}
          <span class="counts">
            {counts &&
              (counts.accepted + counts.rejected + counts.undecided > 0 ? words.counts(counts) : words.noDetections)}
          </span>
        </summary>
        <div class="class-limits">
          <Field name={words.verdict}>
            <Select
              label={words.verdict}
              value={verdict}
              options={Object.entries(words.verdicts).map(([value, name]) => ({ value, name }))}
              onChange={(chosen) => set({ verdict: chosen })}
            />
          </Field>
          <Field name={words.severity}>
            <Select
              label={words.severity}
              value={rule.severity ?? "major"}
              options={Object.entries(words.severities).map(([value, name]) => ({ value, name }))}
              onChange={(severity) => set({ severity })}
            />
          </Field>
          {LIMITS.map((name) => (
            <Limit key={name} name={name} value={rule[name]} set={set} />
          ))}
        </div>
        {verdict === "review" && <p class="class-hint muted small">{words.onlyReviewHint}</p>}
      </details>
    </section>
  );
}

/** The document with what the rules in force say about a class. */
function restored(document: RulesDocument, inForce: RulesDocument, line: string, label: string): RulesDocument {
  const put = (rules: Record<string, ClassRule> | undefined, old: ClassRule | undefined) => {
    const { [label]: _changed, ...others } = rules ?? {};
    return old ? { ...others, [label]: old } : others;
  };
  if (!line) return { ...document, classes: put(document.classes, inForce.classes?.[label]) };
  const lines = { ...document.lines, [line]: put(document.lines?.[line], inForce.lines?.[line]?.[label]) };
  if (!inForce.lines?.[line] && Object.keys(lines[line] ?? {}).length === 0) delete lines[line];
  return { ...document, lines };
}

function Score({
  name,
  label,
  value,
  onChange,
}: {
  name: keyof Scores;
  label: string;
  value: number;
  onChange: (name: keyof Scores, value: number) => void;
}) {
  return (
    <label class={`score-field ${name === "fail_score" ? "v-fail" : "v-review"}`}>
      <span>{words.scores[name]}</span>
      <input
        class="input"
        type="number"
        min={0}
        max={1}
        step={0.01}
        aria-label={words.slider(words.scores[name], label)}
        value={value}
        onChange={(event) => {
          const typed = event.currentTarget.valueAsNumber;
          if (Number.isFinite(typed)) onChange(name, typed);
          else event.currentTarget.value = String(value);
        }}
      />
    </label>
  );
}

function Limit({
  name,
  value,
  set,
}: {
  name: (typeof LIMITS)[number];
  value: number | undefined;
  set: (values: ClassRule) => void;
}) {
  return (
    <Field name={words[name]}>
      <input
        class="input"
        type="number"
        min={0}
        step={1}
        placeholder={name === "largest_area" ? words.none : "0"}
        value={value ?? ""}
        onChange={(event) => {
          const typed = event.currentTarget.valueAsNumber;
          set({ [name]: Number.isFinite(typed) ? typed : undefined });
        }}
      />
    </Field>
  );
}
