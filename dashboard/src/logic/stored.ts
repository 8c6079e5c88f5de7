import { type Signal, signal } from "@preact/signals";

/**
 * A setting that stays in this browser. Where nothing can be stored (private windows), it lasts as long as the page.
 *
 * @param values - What it may be, the default first; anything else that is found in the store is ignored.
 */
export function stored<T extends string>(name: string, values: readonly [T, ...T[]]): Signal<T> {
  const key = `loupe-${name}`;
  let found: string | null = null;
  try {
    found = localStorage.getItem(key);
  } catch {
    // Nothing can be stored.
  }
  const setting = signal(values.find((value) => value === found) ?? values[0]);
  setting.subscribe((value) => {
    try {
      if (value === values[0]) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch {
      // Nothing can be stored.
    }
  });
  return setting;
}
