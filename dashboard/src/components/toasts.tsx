import { signal } from "@preact/signals";
import { CircleAlert, CircleCheck, X } from "lucide-preact";
import { sentence } from "../api/errors";
import { texts } from "../texts";
import { Button } from "./button";

interface Toast {
  id: number;
  text: string;
  kind: "pass" | "fail";
}

const toasts = signal<Toast[]>([]);
let last = 0;

const dismiss = (id: number): void => {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
};

/** Says that something was done. Errors stay longer, since people must read them. */
export function toast(text: string, kind: Toast["kind"] = "pass"): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value.slice(-3), { id, text, kind }];
  setTimeout(() => dismiss(id), kind === "fail" ? 12_000 : 4_000);
}

export const toastError = (error: unknown): void => toast(sentence(error), "fail");

export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map(({ id, text, kind }) => (
        <div key={id} class={`toast v-${kind}`} role={kind === "fail" ? "alert" : undefined}>
          {kind === "fail" ? <CircleAlert size={18} /> : <CircleCheck size={18} />}
          <span class="grow">{text}</span>
          <Button kind="quiet" icon={X} aria-label={texts.common.close} onClick={() => dismiss(id)} />
        </div>
      ))}
    </div>
  );
}
