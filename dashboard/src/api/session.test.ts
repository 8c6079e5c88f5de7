// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { authorised } from "./client";
import { ApiError, errorOf, sentence } from "./errors";
import { bearer, can, end, expired, renew, renewalDelay, sessionState, setPassword, signIn, signOut } from "./session";

const answer = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status });
const session = (token: string, group = "operator") => ({
  token,
  expires_in: 3600,
  user: { name: "maria", groups: [group] },
});

const fetched = vi.fn<(input: RequestInfo | URL, init?: RequestInit) => Promise<Response>>();

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", fetched);
  fetched.mockReset();
  sessionState.value = "unknown";
});
afterEach(() => {
  end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const urls = (): string[] =>
  fetched.mock.calls.map(([input]) => (input instanceof Request ? input.url : String(input)));

const requestOf = (call: number): Request => (fetched.mock.calls[call] as unknown[])[0] as Request;

describe("a session", () => {
  it("begins with user name and password, and gives what its group may do", async () => {
    fetched.mockResolvedValueOnce(answer(200, session("t1")));
    await signIn("maria", "secret");
    expect(sessionState.value).toBe("in");
    expect(bearer()).toBe("t1");
    expect([can("viewer"), can("operator"), can("reviewer")]).toEqual([true, true, false]);
  });

  it("does not begin before a password that somebody else has set was replaced", async () => {
    fetched.mockResolvedValueOnce(answer(200, { challenge: "new_password", session: "s" }));
    expect(await signIn("maria", "temporary")).toEqual({ challenge: "new_password", session: "s" });
    expect(sessionState.value).toBe("unknown");
    fetched.mockResolvedValueOnce(answer(200, session("t1")));
    await setPassword("maria", "s", "own");
    expect(fetched.mock.calls[1]?.[1]?.body).toBe('{"username":"maria","session":"s","new_password":"own"}');
    expect(sessionState.value).toBe("in");
  });

  it("is renewed a minute before its token ends", async () => {
    fetched.mockResolvedValueOnce(answer(200, session("t1")));
    await signIn("maria", "secret");
    fetched.mockResolvedValueOnce(answer(200, session("t2")));
    await vi.advanceTimersByTimeAsync(3539_000);
    expect(bearer()).toBe("t1");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(bearer()).toBe("t2");
    expect(renewalDelay(60)).toBe(30_000);
  });

  it("ends where the refresh is refused, and lasts where Loupe does not answer", async () => {
    fetched.mockResolvedValueOnce(answer(200, session("t1")));
    await signIn("maria", "secret");
    fetched.mockRejectedValueOnce(new TypeError("network"));
    expect(await renew()).toBe(false);
    expect(sessionState.value).toBe("in");
    fetched.mockResolvedValueOnce(answer(503, {}));
    expect(await renew()).toBe(false);
    expect(sessionState.value).toBe("in");
    fetched.mockResolvedValueOnce(answer(401, {}));
    expect(await renew()).toBe(false);
    expect([sessionState.value, expired.value]).toEqual(["out", true]);
  });

  it("is renewed once for all who ask meanwhile", async () => {
    fetched.mockResolvedValue(answer(200, session("t2")));
    expect(await Promise.all([renew(), renew(), renew()])).toEqual([true, true, true]);
    expect(fetched).toHaveBeenCalledTimes(1);
  });

  it("proves to the server that this page asks, not another site", async () => {
    fetched.mockResolvedValueOnce(answer(200, session("t2")));
    await renew();
    expect(fetched.mock.calls[0]?.[1]?.headers).toMatchObject({ "X-Requested-With": "loupe" });
  });

  it("ends here even if the server cannot be told", async () => {
    fetched.mockResolvedValueOnce(answer(200, session("t1")));
    await signIn("maria", "secret");
    fetched.mockRejectedValueOnce(new TypeError("network"));
    await expect(signOut()).rejects.toThrow();
    expect(bearer()).toBeNull();
    expect([sessionState.value, expired.value]).toEqual(["out", false]);
  });
});

describe("a request", () => {
  beforeEach(async () => {
    fetched.mockResolvedValueOnce(answer(200, session("t1")));
    await signIn("maria", "secret");
    fetched.mockClear();
  });
  const request = (): Request => new Request("http://localhost/api/places", { method: "POST", body: "{}" });

  it("carries the token", async () => {
    fetched.mockResolvedValueOnce(answer(200, {}));
    await authorised(request());
    expect(requestOf(0).headers.get("Authorization")).toBe("Bearer t1");
  });

  it("that is refused renews the session and is sent once more, with its body", async () => {
    fetched
      .mockResolvedValueOnce(answer(401, {}))
      .mockResolvedValueOnce(answer(200, session("t2")))
      .mockResolvedValueOnce(answer(200, { items: [] }));
    const response = await authorised(request());
    expect(response.status).toBe(200);
    expect(urls()).toEqual(["http://localhost/api/places", "/api/session/refresh", "http://localhost/api/places"]);
    const again = requestOf(2);
    expect(again.headers.get("Authorization")).toBe("Bearer t2");
    expect(await again.text()).toBe("{}");
  });

  it("that is refused again leads to the sign-in page, and not to a loop", async () => {
    fetched
      .mockResolvedValueOnce(answer(401, {}))
      .mockResolvedValueOnce(answer(200, session("t2")))
      .mockResolvedValueOnce(answer(401, {}));
    expect((await authorised(request())).status).toBe(401);
    expect(fetched).toHaveBeenCalledTimes(3);
    expect(sessionState.value).toBe("out");
  });
});

describe("an error", () => {
  it("has the API's sentence, code and details", () => {
    const error = errorOf(409, { error: { code: "stale_version", message: "Newer.", details: [1] } });
    expect([error.status, error.code, error.message, error.details]).toEqual([409, "stale_version", "Newer.", [1]]);
  });

  it("of something between here and the API has a sentence, too", () => {
    expect(errorOf(502, null).message).toMatch(/status 502/);
    expect(errorOf(401, { message: "Unauthorized" })).toBeInstanceOf(ApiError);
    expect(sentence(new TypeError("Failed to fetch"))).toMatch(/does not answer/);
  });
});
