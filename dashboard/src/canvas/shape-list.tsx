/** The shapes as a list, for a finger or a screen reader: select, relabel, remove. */

import { X } from "lucide-preact";
import type { JSX } from "preact";
import type { Editing } from "./editing";
import type { Shape } from "./model";
import type { Look } from "./shapes";
import { describe } from "./spoken";
import { words } from "./words";

interface ShapeListProps extends Look {
  readonly editing: Editing;
  readonly readOnly?: boolean;
  /** What stands beside the name. */
  readonly note?: (shape: Shape) => string;
  readonly onAskLabel: () => void;
}

/** A model's score, or that a person has drawn or changed the shape. */
export const scoreOf = (shape: Shape): string => shape.score?.toFixed(2) ?? words.list.byPerson;

export function ShapeList({
  editing,
  readOnly = false,
  name,
  tone,
  note = scoreOf,
  onAskLabel,
}: ShapeListProps): JSX.Element {
  const { editor, send } = editing;
  if (!editor.shapes.length) return <p class="muted small">{words.list.none}</p>;
  const what = (shape: Shape) => describe(shape, editor, name);
  return (
    <ul class="shape-list" aria-label={words.list.title}>
      {editor.shapes.map((shape) => (
        <li key={shape.id} class={tone(shape)} data-selected={shape.id === editor.selected}>
          <button
            type="button"
            class="shape-row"
            aria-pressed={shape.id === editor.selected}
            onClick={() => send({ do: "select", id: shape.id })}
            onDblClick={readOnly ? undefined : onAskLabel}
          >
            <span class="swatch" />
            <span class="grow clip">{name(shape.label)}</span>
            <span class="muted small nowrap">{note(shape)}</span>
            <span class="visually-hidden">{what(shape)}</span>
          </button>
          {!readOnly && (
            <button
              type="button"
              class="tool"
              aria-label={words.list.remove(what(shape))}
              title={words.remove}
              onClick={() => {
                send({ do: "select", id: shape.id });
                send({ do: "remove" });
              }}
            >
              <X size={16} aria-hidden="true" />
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
