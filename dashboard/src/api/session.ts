// Who is signed in. The access token lives in memory only; what outlives a reload is a cookie that no script can read.
import { computed, signal } from "@preact/signals";
import { ApiError, errorOf } from "./errors";
import type { Group, Session, User } from "./types";

const RANK: Group[] = ["viewer", "operator", "reviewer", "admin"];
// The cookie is sent by the browser without being asked. This header cannot be sent by another site's form.
const OURS = { "X-Requested-With": "loupe", "Content-Type": "application/json" };
const RENEW_BEFORE_S = 60;

export type SignInAnswer = Session | { challenge: "new_password"; session: string };

/** `unknown` until the first refresh has answered. */
export const sessionState = signal<"unknown" | "out" | "in">("unknown");
/** The session was ended by the server, not by the person. */
export const expired = signal(false);
export const user = signal<User | null>(null);
export const rank = computed(() => Math.max(-1, ...(user.value?.groups ?? []).map((group) => RANK.indexOf(group))));

let token: string | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let renewing: Promise<boolean> | null = null;

export const bearer = (): string | null => token;

/** Whether the signed-in person may do what `group` may; each group includes those before it. */
export const can = (group: Group): boolean => rank.value >= RANK.indexOf(group);

/** How long to wait before the token is renewed: a minute before its end, or at half of a life shorter than two. */
export const renewalDelay = (expiresIn: number): number => Math.max(expiresIn - RENEW_BEFORE_S, expiresIn / 2) * 1000;

async function post(path: string, body?: object, method = "POST"): Promise<unknown> {
  const response = await fetch(`/api/session${path}`, {
    method,
    headers: OURS,
    credentials: "same-origin",
    body: body ? JSON.stringify(body) : null,
  });
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) throw errorOf(response.status, answer);
  return answer;
}

function begin(session: Session): void {
  token = session.token;
  user.value = session.user;
  sessionState.value = "in";
  expired.value = false;
  clearTimeout(timer);
  timer = setTimeout(() => void renew(), renewalDelay(session.expires_in));
}

/** Ends a session that the server no longer accepts. */
export function expire(): void {
  expired.value = sessionState.value === "in";
  end();
}

/** Forgets the session in this tab. */
export function end(): void {
  token = null;
  clearTimeout(timer);
  user.value = null;
  sessionState.value = "out";
}

function accept(answer: unknown): SignInAnswer {
  const session = answer as SignInAnswer;
  if ("token" in session) begin(session);
  return session;
}

export const signIn = async (username: string, password: string): Promise<SignInAnswer> =>
  accept(await post("", { username, password }));

export const setPassword = async (username: string, session: string, newPassword: string): Promise<SignInAnswer> =>
  accept(await post("/password", { username, session, new_password: newPassword }));

export const enter = async (code: string): Promise<SignInAnswer> => accept(await post("/one-time", { code }));

/**
 * Gets a new token by the cookie. Callers that come meanwhile share one request, because a cookie may be good only once.
 *
 * Returns whether somebody is signed in now. Without a network the session stays: the next request tries again.
 */
export function renew(): Promise<boolean> {
  renewing ??= post("/refresh")
    .then((answer) => {
      accept(answer);
      return true;
    })
    .catch((error: unknown) => {
      if (error instanceof ApiError && error.status < 500 && error.status !== 429) expire();
      else if (sessionState.value === "unknown") sessionState.value = "out";
      return false;
    })
    .finally(() => {
      renewing = null;
    });
  return renewing;
}

/** Signs out here and on the server. Here it always succeeds. */
export async function signOut(): Promise<void> {
  try {
    await post("", undefined, "DELETE");
  } finally {
    end();
  }
}
