/** Asks for the label of the selected shape: type to find one, arrows and Enter to take it. */

import type { JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { words } from "./words";

interface LabelPickerProps {
  readonly labels: readonly string[];
  readonly current: string | undefined;
  readonly name: (label: string) => string;
  readonly allowsNew: boolean;
  /** Null if nothing was chosen. */
  readonly onDone: (label: string | null) => void;
}

const LONGEST_LABEL = 64;

interface Choice {
  readonly label: string;
  readonly title: string;
  readonly digit: string;
}

/** The labels that contain what was typed, and what was typed as a new one if it is none of them. */
export function choicesFor(
  typed: string,
  labels: readonly string[],
  name: (label: string) => string,
  allowsNew: boolean,
): Choice[] {
  const wanted = typed.trim().toLowerCase();
  const place = ({ label, title }: Choice) => `${title} ${label}`.toLowerCase().indexOf(wanted);
  // What begins with the typed letters is meant rather than what contains them.
  const known = labels
    .map((label, index) => ({ label, title: name(label), digit: index < 9 ? String(index + 1) : "" }))
    .filter((choice) => place(choice) >= 0)
    .sort((one, other) => Math.min(1, place(one)) - Math.min(1, place(other)));
  const isNew = allowsNew && wanted !== "" && !labels.some((label) => label.toLowerCase() === wanted);
  return isNew ? [...known, { label: typed.trim(), title: words.picker.newLabel(typed.trim()), digit: "" }] : known;
}

export function LabelPicker({ labels, current, name, allowsNew, onDone }: LabelPickerProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [marked, setMarked] = useState(Math.max(0, labels.indexOf(current ?? "")));
  const list = useId();
  const choices = choicesFor(typed, labels, name, allowsNew);

  useLayoutEffect(() => dialog.current?.showModal(), []);

  /** The dialog is closed first, because the focus goes back where it was only from an open document. */
  function finish(label: string | null) {
    dialog.current?.close();
    onDone(label);
  }
  useEffect(() => {
    dialog.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  });

  function onKeyDown(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const direct = typed === "" ? choices.find(({ digit }) => digit !== "" && digit === event.key) : undefined;
    if (step) setMarked((marked + step + choices.length) % Math.max(1, choices.length));
    else if (event.key === "Enter") finish(choices[marked]?.label ?? null);
    else if (direct) finish(direct.label);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog; the click is one beside it.
    <dialog
      ref={dialog}
      class="dialog label-picker"
      aria-label={words.picker.title}
      onCancel={() => finish(null)}
      onClick={(event) => event.target === dialog.current && finish(null)}
    >
      <div class="stack tight">
        <input
          class="input"
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={choices[marked] ? `${list}-${marked}` : undefined}
          aria-label={words.picker.title}
          placeholder={words.picker.find}
          maxLength={LONGEST_LABEL}
          autocomplete="off"
          spellcheck={false}
          value={typed}
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setMarked(0);
          }}
          onKeyDown={onKeyDown}
        />
        <div class="label-choices" id={list} role="listbox" aria-label={words.picker.title}>
          {choices.map((choice, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field above takes the keys.
            <div
              key={choice.title}
              id={`${list}-${index}`}
              role="option"
              aria-selected={index === marked}
              tabIndex={-1}
              class="menu-item"
              onClick={() => finish(choice.label)}
            >
              <span class="grow clip">{choice.title}</span>
              {choice.label === current && <span class="muted small">{words.picker.now}</span>}
              {choice.digit && <kbd>{choice.digit}</kbd>}
            </div>
          ))}
        </div>
      </div>
    </dialog>
  );
}
