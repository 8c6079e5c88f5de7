// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { thumbnailOf } from "./thumbnails";

const asked: string[][] = [];
let broken = false;

beforeEach(() => {
  asked.length = 0;
  broken = false;
  vi.stubGlobal("fetch", async (request: Request) => {
    const { ids } = (await request.json()) as { ids: string[] };
    asked.push(ids);
    if (broken) return new Response("{}", { status: 503 });
    return new Response(
      JSON.stringify({ items: ids.map((id) => ({ id, thumbnail: id === "none" ? null : `/t/${id}` })) }),
    );
  });
});
afterEach(() => vi.unstubAllGlobals());

it("asks for the pictures on the screen together, at most 48 at a time", async () => {
  const ids = Array.from({ length: 50 }, (_, index) => `a${index}`);
  const links = await Promise.all(ids.map(thumbnailOf));
  expect(asked.map((batch) => batch.length)).toEqual([48, 2]);
  expect(links[49]).toBe("/t/a49");
});

it("asks once for each picture, and knows which have none", async () => {
  await Promise.all([thumbnailOf("b"), thumbnailOf("b"), thumbnailOf("none")]);
  expect(await thumbnailOf("none")).toBeNull();
  expect(asked).toEqual([["b", "none"]]);
});

it("asks again for what could not be made", async () => {
  broken = true;
  expect(await thumbnailOf("c")).toBeNull();
  broken = false;
  expect(await thumbnailOf("c")).toBe("/t/c");
});
