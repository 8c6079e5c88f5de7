import { signal } from "@preact/signals";

const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

/** The present, so that "12 s ago" grows while one looks. */
export const useNow = (): number => now.value;
