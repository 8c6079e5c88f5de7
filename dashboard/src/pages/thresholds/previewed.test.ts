// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { usePreview } from "./previewed";

let waiting: { fails: number; answer: (status: number, body: unknown) => void }[] = [];

beforeEach(() => {
  waiting = [];
  vi.useFakeTimers();
  vi.stubGlobal("fetch", async (request: Request) => {
    const { document } = (await request.json()) as { document: { default: { fail_score: number } } };
    return new Promise<Response>((resolve) => {
      const answer = (status: number, body: unknown) =>
        resolve(new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } }));
      waiting.push({ fails: document.default.fail_score, answer });
    });
  });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const rest = () =>
  act(async () => {
    await vi.advanceTimersByTimeAsync(300);
  });
const show = () =>
  renderHook(({ score }) => usePreview({ version: "1", default: { fail_score: score } }, ""), {
    initialProps: { score: 0.5 },
  });
const answer = async (status: number, body: unknown) => {
  waiting.at(-1)?.answer(status, body);
  // Once for the answer, and once for the question that may follow it.
  await rest();
  await rest();
};

test("while a slider moves only its resting place is asked for, and one question waits at a time", async () => {
  const { result, rerender } = show();
  await rest();
  for (const score of [0.51, 0.52, 0.53]) rerender({ score });
  await rest();
  rerender({ score: 0.6 });
  await rest();
  expect(waiting.map(({ fails }) => fails)).toEqual([0.5]);
  await answer(200, { inspected: 1 });
  expect(result.current.stale).toBe(true);
  expect(waiting.map(({ fails }) => fails)).toEqual([0.5, 0.6]);
  await answer(200, { inspected: 2 });
  expect(result.current).toMatchObject({ stale: false, loaded: { data: { inspected: 2 } } });
});

test("a failure keeps the former preview, and asks again only when told to", async () => {
  const { result, rerender } = show();
  await rest();
  await answer(200, { inspected: 1 });
  rerender({ score: 0.7 });
  await rest();
  await answer(500, { error: { code: "internal", message: "Something went wrong." } });
  expect(result.current.loaded).toMatchObject({ data: { inspected: 1 }, error: { message: "Something went wrong." } });
  expect(waiting).toHaveLength(2);
  act(() => result.current.loaded.reload());
  await rest();
  expect(waiting).toHaveLength(3);
});
