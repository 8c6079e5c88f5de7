/** The state of an editor in a page: what it holds, the way to change it, and a sentence about the last change. */

import { useCallback, useRef, useState } from "preact/hooks";
import type { Size } from "./geometry";
import { apply, type Command, type Editor, type Shape, start } from "./model";
import { announce } from "./spoken";

export interface Editing {
  readonly editor: Editor;
  readonly send: (command: Command) => void;
  /** For the live region. */
  readonly said: string;
}

export function useEditing(size: Size, shapes: readonly Shape[], name: (label: string) => string): Editing {
  const [state, setState] = useState(() => ({ editor: start(size, shapes), said: "" }));
  const names = useRef(name);
  names.current = name;
  const send = useCallback((command: Command) => {
    setState(({ editor, said }) => {
      const next = apply(editor, command);
      return { editor: next, said: announce(command, editor, next, names.current) || said };
    });
  }, []);
  return { ...state, send };
}
