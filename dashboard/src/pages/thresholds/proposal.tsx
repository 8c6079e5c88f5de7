import { Sparkles, X } from "lucide-preact";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { Proposal, RulesDocument } from "../../api/paths.rules";
import { Button } from "../../components/button";
import { Drop } from "../../components/drop";
import { Field } from "../../components/fields";
import { Card } from "../../components/page";
import { Notice } from "../../components/states";
import { toast } from "../../components/toasts";
import { percent, score } from "../../logic/format";
import { Problems } from "./changes";
import { words } from "./words";

const USUAL_PERCENT = "2";
const MOST_PERCENT = 50;

interface ProposeProps {
  line: string;
  last: number;
  onProposal: (proposal: Proposal) => void;
}

/** Asks for scores that keep an escape rate. */
export function Propose({ line, last, onProposal }: ProposeProps): JSX.Element {
  return (
    <Drop name={words.propose.button} icon={Sparkles} end>
      {(close) => (
        <ProposeForm
          line={line}
          last={last}
          onProposal={(proposal) => {
            close();
            toast(words.propose.done);
            onProposal(proposal);
          }}
        />
      )}
    </Drop>
  );
}

const shareOf = (typed: string): number | null => {
  const value = Number(typed);
  return typed.trim() !== "" && value > 0 && value <= MOST_PERCENT ? value / 100 : null;
};

function ProposeForm({ line, last, onProposal }: ProposeProps) {
  const [rate, setRate] = useState(USUAL_PERCENT);
  const [overkill, setOverkill] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const wanted = shareOf(rate);
  const limit = shareOf(overkill);
  const valid = wanted !== null && (overkill.trim() === "" || limit !== null);

  async function submit() {
    if (wanted === null) return;
    setBusy(true);
    setError(undefined);
    const body = { escape: wanted, last, ...(limit !== null && { overkill: limit }), ...(line && { line }) };
    try {
      onProposal(await ask(api.POST("/api/rules/proposal", { body })));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <form
      class="stack tight propose"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h3>{words.propose.title}</h3>
      <p class="muted small">{words.propose.hint}</p>
      <Field name={words.propose.escape}>
        <input class="input" inputMode="decimal" value={rate} onInput={(event) => setRate(event.currentTarget.value)} />
      </Field>
      <Field name={words.propose.overkill}>
        <input
          class="input"
          inputMode="decimal"
          value={overkill}
          onInput={(event) => setOverkill(event.currentTarget.value)}
        />
      </Field>
      {!valid && <p class="muted small">{words.propose.range}</p>}
      {error !== undefined && <Problems error={error} />}
      <Button type="submit" kind="primary" busy={busy} disabled={!valid}>
        {words.propose.submit}
      </Button>
    </form>
  );
}

/** What a proposal is based on, class by class. */
export function ProposalCard({
  proposal,
  onClose,
}: {
  proposal: Proposal & { document: RulesDocument };
  onClose: () => void;
}): JSX.Element {
  const { column } = words.propose;
  return (
    <Card
      title={words.propose.title}
      actions={<Button kind="quiet" icon={X} aria-label={words.propose.close} onClick={onClose} />}
      flush
    >
      <div class="table-frame">
        <table class="table">
          <thead>
            <tr>
              <th>{column.label}</th>
              <th class="number">{column.review}</th>
              <th class="number">{column.fail}</th>
              <th class="number">{column.escape}</th>
              <th class="number">{column.overkill}</th>
              <th class="number">{column.decided}</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(proposal.by_label).map(([label, proposed]) => (
              <tr key={label}>
                <td>{label}</td>
                <td class="number">{score(proposed.review_score)}</td>
                <td class="number">{score(proposed.fail_score)}</td>
                <td class="number">{percent(proposed.escape.value)}</td>
                <td class="number">{percent(proposed.overkill.value)}</td>
                <td class="number">{proposed.decided}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {proposal.notes.length > 0 && (
        <div class="card-body stack tight">
          {proposal.notes.map((note) => (
            <Notice key={note} kind="review">
              {note}
            </Notice>
          ))}
        </div>
      )}
    </Card>
  );
}
