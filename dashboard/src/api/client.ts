// Every request to the API, except those of the session itself, passes here.
import createClient from "openapi-fetch";
import { errorOf } from "./errors";
import type { Paths } from "./paths";
import { bearer, expire, renew } from "./session";

/** `fetch` with the token. After a 401 it renews the session once and asks again; then the sign-in page comes up. */
export async function authorised(request: Request): Promise<Response> {
  const send = (): Promise<Response> => {
    const attempt = request.clone();
    const token = bearer();
    if (token) attempt.headers.set("Authorization", `Bearer ${token}`);
    return fetch(attempt);
  };
  const first = await send();
  if (first.status !== 401) return first;
  if (!(await renew())) return first;
  const second = await send();
  if (second.status === 401) expire();
  return second;
}

export const api = createClient<Paths>({ baseUrl: window.location.origin, fetch: authorised });

/** The answer's data, or the API's error thrown: `const { items } = await ask(api.GET("/api/places"))`. */
export async function ask<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw errorOf(response.status, error);
  return data as T;
}

/** Downloads what a route answers as a file. A plain link would not carry the token. */
export async function download(path: string, query: Record<string, string>, name: string): Promise<Headers> {
  const url = new URL(path, window.location.origin);
  url.search = new URLSearchParams(query).toString();
  const response = await authorised(new Request(url));
  if (!response.ok) throw errorOf(response.status, await response.json().catch(() => null));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return response.headers;
}
