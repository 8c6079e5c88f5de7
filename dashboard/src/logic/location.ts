// The page's address is the part after `#`, with a query of its own: `#/inspections?line=line-1&verdict=fail`.
import { computed, signal } from "@preact/signals";

const hashOf = (): string => window.location.hash.replace(/^#?\/?/, "");
const address = signal(hashOf());
window.addEventListener("hashchange", () => {
  address.value = hashOf();
});

export const path = computed(() => `/${address.value.split("?", 1)[0]}`);
export const query = computed(() => address.value.slice(path.value.length));

/** Goes to a path of the page; `replace` leaves no entry in the history, for what was not a step of the person. */
export function navigate(to: string, options?: { replace?: boolean }): void {
  if (options?.replace) {
    history.replaceState(null, "", `#${to}`);
    address.value = hashOf();
  } else {
    window.location.hash = to;
  }
}

/** Wouter's `hook`: path and `navigate`. Wouter decodes what it takes for a URL; `decoded` does the whole. */
export const useHashPath = (): [string, typeof navigate] => [path.value.replaceAll("%", "%25"), navigate];
useHashPath.hrefs = (href: string): string => `#${href}`;

/** The parameters of an address, as `encodeURIComponent` took them. What it did not encode stays as it is. */
export function decoded(params: Record<string, string | undefined>): Record<string, string> {
  const decode = (value: string): string => {
    try {
      return decodeURIComponent(value);
    } catch {
      return value;
    }
  };
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, decode(value ?? "")]));
}

/** Wouter's `searchHook`: the query, without `?`. */
export const useHashQuery = (): string => query.value;
