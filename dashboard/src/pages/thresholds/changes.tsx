import { Save } from "lucide-preact";
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, sentence } from "../../api/errors";
import { can } from "../../api/session";
import { Button } from "../../components/button";
import { Field } from "../../components/fields";
import { Notice } from "../../components/states";
import { toast } from "../../components/toasts";
import { useLoad } from "../../hooks/load";
import { texts } from "../../texts";
import { type Difference, nextVersion } from "./document";
import { type Draft, historyPage } from "./draft";
import { words } from "./words";

/** The bar with one's changes: what they are, and the way to put them into force or to drop them. */
export function Changes({ draft }: { draft: Draft }): JSX.Element | null {
  const [saving, setSaving] = useState(false);
  if (draft.changes.length === 0) return null;
  return (
    <>
      {draft.meanwhile && <Stale draft={draft} />}
      {!can("admin") && <Notice>{words.changes.notAdmin}</Notice>}
      <section class="card changes-bar" aria-label={words.changes.title}>
        <details class="grow">
          <summary>
            {words.changes.title}: {words.changes.count(draft.changes.length)}
          </summary>
          <DifferenceTable differences={draft.changes} />
        </details>
        <Button onClick={draft.discard}>{words.changes.discard}</Button>
        {can("admin") && (
          <Button kind="primary" icon={Save} disabled={draft.meanwhile !== null} onClick={() => setSaving(true)}>
            {words.changes.save}
          </Button>
        )}
      </section>
      {saving && <SaveDialog draft={draft} onClose={() => setSaving(false)} />}
    </>
  );
}

function Stale({ draft }: { draft: Draft }) {
  const found = draft.meanwhile;
  if (!found) return null;
  return (
    <Notice kind="review">
      <div class="stack tight">
        <p>
          <strong>{words.stale.title(found.by ?? words.stale.somebody)}</strong>{" "}
          {words.number(found.newest.version ?? words.history.unknown, found.newest.number)}
        </p>
        <DifferenceTable differences={found.changes} names={[words.changes.earlier, words.changes.theirs]} />
        <p>{found.clashes.length ? words.stale.clash(found.clashes.join(", ")) : words.stale.show}</p>
        <div class="row wrap">
          <Button onClick={draft.putOnNewest} disabled={!found.newest.document}>
            {words.stale.onto}
          </Button>
          <Button onClick={draft.discard}>{words.stale.discard}</Button>
        </div>
      </div>
    </Notice>
  );
}

interface DifferenceTableProps {
  differences: readonly Difference[];
  /** What the two values are. */
  names?: readonly [string, string];
}

export function DifferenceTable({
  differences,
  names = [words.changes.before, words.changes.after],
}: DifferenceTableProps): JSX.Element {
  return (
    <div class="table-frame">
      <table class="table differences">
        <thead>
          <tr>
            <th>{words.changes.place}</th>
            <th>{names[0]}</th>
            <th>{names[1]}</th>
          </tr>
        </thead>
        <tbody>
          {differences.map(({ path, before, after }) => (
            <tr key={path.join("\u0000")}>
              <td>{path.join(" › ")}</td>
              <td class="mono">{written(before)}</td>
              <td class="mono">
                <strong>{written(after)}</strong>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const LONGEST = 80;

/** A value as the document has it, on one line. */
export function written(value: unknown): string {
  if (value === undefined || value === null) return "–";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function SaveDialog({ draft, onClose }: { draft: Draft; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const history = useLoad(() => historyPage(), []);
  const taken = [draft.base.version, ...(history.data?.items ?? []).map(({ version }) => version)];
  const [typed, setName] = useState<string | null>(null);
  const name = typed ?? nextVersion(taken, new Date());
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  useLayoutEffect(() => dialog.current?.showModal(), []);

  async function submit() {
    setBusy(true);
    setError(undefined);
    try {
      const saved = await draft.save(name.trim(), comment.trim());
      if (saved) toast(words.save.done(name.trim()));
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="save-title" onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h2 id="save-title">{words.save.title}</h2>
        <DifferenceTable differences={draft.changes} />
        <Field name={words.save.name}>
          <input
            class="input"
            required
            maxLength={64}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <small class="muted">{words.save.nameHint}</small>
        </Field>
        <Field name={words.save.comment}>
          <textarea
            class="input"
            maxLength={1000}
            placeholder={words.save.commentHint}
            value={comment}
            onInput={(event) => setComment(event.currentTarget.value)}
          />
        </Field>
        {error !== undefined && <Problems error={error} />}
        <div class="row apart">
          <Button onClick={onClose}>{texts.common.cancel}</Button>
          <Button kind="primary" type="submit" busy={busy}>
            {words.save.submit}
          </Button>
        </div>
      </form>
    </dialog>
  );
}

/** An error, with each problem that the API names. */
export function Problems({ error }: { error: unknown }): JSX.Element {
  const details = error instanceof ApiError ? error.details.filter((each) => typeof each === "string") : [];
  return (
    <Notice kind="fail">
      {sentence(error)}
      {details.length > 0 && (
        <ul class="bullets">
          {details.map((detail) => (
            <li key={detail}>{detail}</li>
          ))}
        </ul>
      )}
    </Notice>
  );
}
