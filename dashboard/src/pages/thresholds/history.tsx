import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { RulesVersion } from "../../api/paths.rules";
import { can } from "../../api/session";
import type { Page } from "../../api/types";
import { Button } from "../../components/button";
import { Field } from "../../components/fields";
import { Card } from "../../components/page";
import { Notice, Shown } from "../../components/states";
import { toast, toastError } from "../../components/toasts";
import { useLoad } from "../../hooks/load";
import { dateTime, time } from "../../logic/format";
import { texts } from "../../texts";
import { DifferenceTable, Problems, written } from "./changes";
import { differences } from "./document";
import { type Draft, historyPage, rollBack } from "./draft";
import { words } from "./words";

const SHOWN = 4;

/** Who put which rules into force, what changed, and the way back. */
export function History({ draft }: { draft: Draft }): JSX.Element {
  const { number } = draft.base;
  const first = useLoad(() => historyPage(), [number]);
  return (
    <Card title={words.history.title} flush>
      <Shown from={first} height={160}>
        {(page) => <Versions key={number} first={page} draft={draft} />}
      </Shown>
    </Card>
  );
}

function Versions({ first, draft }: { first: Page<RulesVersion>; draft: Draft }) {
  const [more, setMore] = useState<Page<RulesVersion>>({ items: [], next: first.next });
  const [chosen, setChosen] = useState<RulesVersion | null>(null);
  const { columns } = words.history;
  return (
    <>
      <div class="table-frame">
        <table class="table">
          <thead>
            <tr>
              <th class="number">{columns.number}</th>
              <th>{columns.version}</th>
              <th>{columns.when}</th>
              <th>{columns.by}</th>
              <th>{columns.changes}</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {[...first.items, ...more.items].map((version) => (
              <tr key={version.number}>
                <td class="number">{version.number}</td>
                <td>{version.version ?? words.history.unknown}</td>
                <td class="nowrap" title={dateTime(version.when)}>
                  {time(version.when)}
                </td>
                <td>{version.by ?? words.history.unknown}</td>
                <td>
                  <ChangeList version={version} />
                </td>
                <td class="number">
                  {version.number === draft.base.number ? (
                    <span class="badge plain v-pass">{words.history.inForce}</span>
                  ) : (
                    can("admin") &&
                    version.document && <Button onClick={() => setChosen(version)}>{words.history.back}</Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more.next && (
        <div class="card-body">
          <Button
            onClick={() => {
              historyPage(more.next ?? undefined).then(
                (page) => setMore({ items: [...more.items, ...page.items], next: page.next }),
                toastError,
              );
            }}
          >
            {texts.common.more}
          </Button>
        </div>
      )}
      {chosen && <BackDialog version={chosen} draft={draft} onClose={() => setChosen(null)} />}
    </>
  );
}

function ChangeList({ version }: { version: RulesVersion }) {
  const rest = version.changes.length - SHOWN;
  return (
    <>
      {version.comment && <p>{version.comment}</p>}
      <ul class="small">
        {version.changes.slice(0, SHOWN).map((change) => (
          <li key={change.place}>
            <span class="muted">{change.place}</span> <span class="mono">{written(change.before)}</span> →{" "}
            <span class="mono">{written(change.after)}</span>
          </li>
        ))}
        {rest > 0 && <li class="muted">{words.history.more(rest)}</li>}
      </ul>
    </>
  );
}

function BackDialog({ version, draft, onClose }: { version: RulesVersion; draft: Draft; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const name = version.version ?? words.history.unknown;
  const changes = differences(draft.base.document, version.document);
  useLayoutEffect(() => dialog.current?.showModal(), []);

  function submit() {
    setBusy(true);
    rollBack(version.number, comment.trim()).then(
      () => {
        toast(words.save.done(name));
        onClose();
      },
      (failure) => {
        setError(failure);
        setBusy(false);
      },
    );
  }

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="back-title" onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <h2 id="back-title">{words.history.confirm(name)}</h2>
        {draft.changes.length > 0 && <Notice kind="review">{words.history.drops(draft.changes.length)}</Notice>}
        <p>{changes.length ? words.history.confirmHint : words.history.confirmSame}</p>
        {changes.length > 0 && <DifferenceTable differences={changes} names={[words.changes.before, name]} />}
        <Field name={words.save.comment}>
          <textarea
            class="input"
            maxLength={1000}
            value={comment}
            onInput={(event) => setComment(event.currentTarget.value)}
          />
        </Field>
        {error !== undefined && <Problems error={error} />}
        <div class="row apart">
          <Button onClick={onClose}>{texts.common.cancel}</Button>
          <Button kind="primary" type="submit" busy={busy}>
            {words.history.back}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
