// Filters live in the page's address, so that a view can be kept, shared, and left with the browser's back button.
import { useCallback, useMemo } from "preact/hooks";
import { navigate, path, query } from "./location";

export type Filters<K extends string> = Record<K, string>;

/** Reads the filters named in `defaults` from a query; others are ignored, and empty ones have their default. */
export function readFilters<K extends string>(query: string, defaults: Filters<K>): Filters<K> {
  const given = new URLSearchParams(query);
  const names = Object.keys(defaults) as K[];
  return Object.fromEntries(names.map((name) => [name, given.get(name) || defaults[name]])) as Filters<K>;
}

/** Writes what differs from the defaults, in the defaults' order, with the `?` if there is any. */
export function writeFilters<K extends string>(filters: Filters<K>, defaults: Filters<K>): string {
  const query = new URLSearchParams();
  for (const name of Object.keys(defaults) as K[]) {
    const value = filters[name];
    if (value && value !== defaults[name]) query.set(name, value);
  }
  const text = query.toString();
  return text && `?${text}`;
}

/** What of the filters is to be sent to the API: those with a value. */
export function sent<K extends string>(filters: Filters<K>): Partial<Filters<K>> {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== "")) as Partial<Filters<K>>;
}

/** The page's filters, and a function that changes some of them. `defaults` must be a constant. */
export function useFilters<K extends string>(
  defaults: Filters<K>,
): [Filters<K>, (change: Partial<Filters<K>>) => void] {
  const text = query.value;
  const filters = useMemo(() => readFilters(text, defaults), [text, defaults]);
  const change = useCallback(
    (changed: Partial<Filters<K>>) =>
      navigate(path.value + writeFilters({ ...filters, ...changed }, defaults), { replace: true }),
    [filters, defaults],
  );
  return [filters, change];
}
