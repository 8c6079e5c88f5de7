/** The buttons of the picture editor. All that they do has a key, too. */

import {
  type LucideIcon,
  Maximize,
  Minus,
  MousePointer2,
  Pentagon,
  Plus,
  Redo2,
  SquareDashed,
  SquarePlus,
  Tag,
  Trash2,
  Undo2,
} from "lucide-preact";
import type { JSX } from "preact";
import type { Action } from "./keys";
import type { Editor } from "./model";
import { words } from "./words";

interface ToolbarProps {
  readonly editor: Editor;
  readonly readOnly: boolean;
  readonly draws: "box" | "polygon";
  readonly drawing: boolean;
  readonly scale: number;
  readonly label: string | undefined;
  readonly name: (label: string) => string;
  readonly act: (action: Action) => void;
}

export function Toolbar({ editor, readOnly, draws, drawing, scale, label, name, act }: ToolbarProps): JSX.Element {
  return (
    <fieldset class="canvas-tools" aria-label={words.tools}>
      {!readOnly && (
        <div class="tool-group">
          <Tool
            icon={MousePointer2}
            title={words.select}
            pressed={!drawing}
            onClick={() => drawing && act({ act: "draw" })}
          />
          <Tool
            icon={draws === "box" ? SquareDashed : Pentagon}
            title={words.draw[draws]}
            keys="B"
            pressed={drawing}
            onClick={() => drawing || act({ act: "draw" })}
          />
          <Tool icon={SquarePlus} title={words.add[draws]} keys="N" onClick={() => act({ act: "add" })} />
        </div>
      )}
      {!readOnly && (
        <div class="tool-group">
          <Tool
            icon={Undo2}
            title={words.undo}
            keys="Ctrl+Z"
            disabled={!editor.past.length}
            onClick={() => act({ do: "undo" })}
          />
          <Tool
            icon={Redo2}
            title={words.redo}
            keys="Ctrl+Y"
            disabled={!editor.future.length}
            onClick={() => act({ do: "redo" })}
          />
          <Tool
            icon={Trash2}
            title={words.remove}
            keys="Delete"
            disabled={label === undefined}
            onClick={() => act({ do: "remove" })}
          />
          <button
            type="button"
            class="tool wide"
            disabled={label === undefined}
            title={`${words.label} (L)`}
            onClick={() => act({ act: "ask-label" })}
          >
            <Tag aria-hidden="true" size={16} />
            <span>{label === undefined ? words.label : name(label)}</span>
          </button>
        </div>
      )}
      <div class="tool-group end">
        <Tool icon={Minus} title={words.zoomOut} keys="−" onClick={() => act({ act: "zoom", factor: -1 })} />
        <output class="zoom" aria-label={words.zoom}>
          {Math.round(scale * 100)} %
        </output>
        <Tool icon={Plus} title={words.zoomIn} keys="+" onClick={() => act({ act: "zoom", factor: 1 })} />
        <Tool icon={Maximize} title={words.whole} keys="0" onClick={() => act({ act: "fit" })} />
      </div>
    </fieldset>
  );
}

interface ToolProps {
  readonly icon: LucideIcon;
  readonly title: string;
  readonly keys?: string;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  readonly onClick: () => void;
}

function Tool({ icon: Icon, title, keys, pressed, disabled, onClick }: ToolProps): JSX.Element {
  return (
    <button
      type="button"
      class="tool"
      title={keys ? `${title} (${keys})` : title}
      aria-label={title}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon size={18} aria-hidden="true" />
    </button>
  );
}
