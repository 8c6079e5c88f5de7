// @vitest-environment happy-dom
import { beforeEach, expect, test, vi } from "vitest";
import { forgetSkipped, leave, lookAhead, skip, takeNext } from "./desk";

let queue: string[] = [];
let requests: string[] = [];

/** The queue as the API serves it: the best item that is not to be skipped. */
beforeEach(async () => {
  queue = ["a", "b", "c"];
  forgetSkipped();
  vi.stubGlobal("fetch", async (request: Request) => {
    const path = new URL(request.url).pathname.replace("/api/reviews/", "");
    const { skip: passed = [], line = "" } =
      request.method === "POST" ? JSON.parse((await request.text()) || "{}") : {};
    requests.push(`${request.method} ${path} ${line}`.trim());
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    const id = path === "next" ? queue.find((each) => !passed.includes(each)) : path.split("/")[0];
    const claim = { by: "me", until: new Date(Date.now() + 300_000).toISOString() };
    const found = { id, claim, links: { picture: "http://x/p.jpg", annotated: null, thumbnail: null }, inspection: {} };
    const none = { error: { code: "queue_empty", message: "Nothing waits." } };
    return new Response(JSON.stringify(id ? found : none), {
      status: id ? 200 : 404,
      headers: { "Content-Type": "application/json" },
    });
  });
  await leave();
  requests = [];
});

test("the next image is claimed ahead, and is there without a further question", async () => {
  expect((await takeNext(""))?.id).toBe("a");
  lookAhead("", "a");
  await vi.waitFor(() => expect(requests).toHaveLength(2));
  queue = ["b", "c"];
  expect((await takeNext(""))?.id).toBe("b");
  expect(requests).toEqual(["POST next", "POST next"]);
});

test("a skipped image is given back, and does not come again until the person asks for it", async () => {
  await takeNext("");
  await skip("a");
  expect(requests.at(-1)).toBe("DELETE a/claim");
  expect((await takeNext(""))?.id).toBe("b");
  forgetSkipped();
  expect((await takeNext(""))?.id).toBe("a");
});

test("an image claimed ahead of another line is given back", async () => {
  lookAhead("line-1", "a");
  await vi.waitFor(() => expect(requests).toEqual(["POST next line-1"]));
  expect((await takeNext("line-2"))?.id).toBe("a");
  expect(requests).toEqual(["POST next line-1", "DELETE b/claim", "POST next line-2"]);
});

test("whoever leaves gives back what was claimed ahead", async () => {
  lookAhead("", "a");
  await leave();
  expect(requests).toEqual(["POST next", "DELETE b/claim"]);
});

test("an empty queue is no error", async () => {
  queue = [];
  expect(await takeNext("")).toBeNull();
});
