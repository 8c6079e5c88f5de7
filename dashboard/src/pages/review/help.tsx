import { X } from "lucide-preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Button } from "../../components/button";
import { texts } from "../../texts";
import { words } from "./words";

/** The keys, as an overlay. */
export function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog review-help" aria-labelledby="review-help-title" onClose={onClose}>
      <div class="stack">
        <div class="row apart">
          <h2 id="review-help-title">{words.helpTitle}</h2>
          <Button kind="quiet" icon={X} aria-label={texts.common.close} onClick={() => dialog.current?.close()} />
        </div>
        <div class="review-help-columns">
          <Keys title={words.helpDecide} rows={words.helpRows.decide} />
          <Keys title={words.helpPicture} rows={words.helpRows.picture} />
        </div>
      </div>
    </dialog>
  );
}

function Keys({ title, rows }: { title: string; rows: string[][] }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl class="review-keys">
        {rows.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
