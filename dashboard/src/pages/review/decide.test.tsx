// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { render as renderNow } from "preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ClaimedReview } from "../../api/paths.review";
import { Decide } from "./decide";

const LINKS = { picture: "http://x/p.jpg?X-Amz-Signature=1", annotated: null, thumbnail: null };
const answers: { path: string; method: string; body: unknown }[] = [];
let answer: (path: string) => { status: number; body: unknown };

function item(id: string): ClaimedReview {
  const at = "2026-01-01T00:00:00Z";
  return {
    id,
    image: "s3://b/k",
    version_id: "v",
    line: "line-1",
    station: "top",
    serial: "SN1",
    verdict: "review",
    cause: "verdict",
    share: 1,
    priority: 0.9,
    received_at: at,
    state: "open",
    claim: { by: "me", until: new Date(Date.now() + 300_000).toISOString() },
    version: 3,
    decisions: [{ by: "anna", at, verdict: "pass", objects: [] }],
    disagreement: false,
    links: LINKS,
    claimable: true,
    inspection: {
      id,
      line: "line-1",
      station: "top",
      serial: "SN1",
      captured_at: at,
      received_at: at,
      inspected_at: at,
      verdict: "review",
      reasons: [{ code: "doubtful", message: "possible defect: dent 0.42", label: "dent", detection: 0 }],
      detections: [{ label: "dent", score: 0.42, box: [10, 10, 40, 30] }],
      image: "s3://b/k",
      version_id: "v",
      image_width: 200,
      image_height: 100,
      links: LINKS,
    },
  } as ClaimedReview;
}

beforeEach(() => {
  answers.length = 0;
  vi.stubGlobal("fetch", async (request: Request) => {
    const path = new URL(request.url).pathname;
    const text = await request.text();
    answers.push({ path, method: request.method, body: text ? JSON.parse(text) : null });
    const { status, body } = answer(path);
    return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  });
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.open = true;
  };
});
afterEach(cleanup);

function show(id: string) {
  const calls = { onDone: vi.fn(), onSkip: vi.fn(), onNext: vi.fn() };
  render(<Decide first={item(id)} labels={["dent", "scratch"]} {...calls} />);
  return calls;
}

const press = (key: string) => fireEvent.keyDown(document.activeElement ?? document.body, { key });
const stage = () => screen.getByRole("application");
const boxes = () => screen.queryAllByRole("button", { name: /pixels at .* of/ }).filter((each) => each.dataset.shape);

test("A accepts the image as it is shown, once", async () => {
  answer = () => ({ status: 200, body: { id: "a" } });
  const { onDone } = show("a");
  press("a");
  press("a");
  await waitFor(() => expect(onDone).toHaveBeenCalledWith("fail"));
  expect(answers).toEqual([
    {
      path: "/api/reviews/a/decision",
      method: "POST",
      body: { version: 3, verdict: "fail", objects: [{ label: "dent", box: [10, 10, 40, 30] }] },
    },
  ]);
});

test("a key that is pressed as soon as the image stands there counts", async () => {
  answer = () => ({ status: 200, body: { id: "early" } });
  const onDone = vi.fn();
  const root = document.body.appendChild(document.createElement("div"));
  // Not testing-library's render: that waits until everything after the paint has run.
  renderNow(<Decide first={item("early")} labels={["dent"]} onDone={onDone} onSkip={vi.fn()} onNext={vi.fn()} />, root);
  expect(root.querySelector("h2")?.textContent).toBe("SN1");
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true }));
  await waitFor(() => expect(onDone).toHaveBeenCalledWith("pass"));
  act(() => renderNow(null, root));
});

test("R decides that there is no defect, without boxes", async () => {
  answer = () => ({ status: 200, body: { id: "b" } });
  const { onDone } = show("b");
  press("r");
  await waitFor(() => expect(onDone).toHaveBeenCalledWith("pass"));
  expect(answers[0]?.body).toEqual({ version: 3, verdict: "pass", objects: [] });
});

test("Enter saves only what a person has corrected", async () => {
  answer = () => ({ status: 200, body: { id: "c" } });
  const { onDone } = show("c");
  press("Enter");
  expect(answers).toEqual([]);
  act(() => stage().focus());
  press("n");
  press("Enter");
  await waitFor(() => expect(onDone).toHaveBeenCalledWith("fail"));
  expect(answers[0]).toMatchObject({ body: { objects: [{ label: "dent" }, { label: "dent" }] } });
});

test("a letter that is typed into the comment decides nothing", () => {
  const { onSkip } = show("d");
  act(() => screen.getByRole("textbox").focus());
  for (const key of ["a", "r", "u", "s"]) press(key);
  expect(answers).toEqual([]);
  expect(onSkip).not.toHaveBeenCalled();
});

test("a claim that is lost is told, the drawn boxes stay, and nothing more is sent until it is claimed again", async () => {
  answer = (path) =>
    path.endsWith("/claim")
      ? { status: 200, body: { ...item("e"), version: 4 } }
      : { status: 409, body: { error: { code: "stale_version", message: "Meanwhile bruno has decided." } } };
  const { onDone } = show("e");
  act(() => stage().focus());
  press("n");
  press("Enter");
  await screen.findByText(/Meanwhile bruno has decided/);
  expect(boxes()).toHaveLength(2);
  press("a");
  expect(answers).toHaveLength(1);
  fireEvent.click(screen.getByText("Claim it again"));
  await waitFor(() => expect(screen.queryByText(/Meanwhile bruno/)).toBeNull());
  expect(boxes()).toHaveLength(2);
  answer = () => ({ status: 200, body: { id: "e" } });
  press("a");
  await waitFor(() => expect(onDone).toHaveBeenCalled());
  expect(answers.at(-1)).toMatchObject({ body: { version: 4 } });
});

test("what was drawn on an image is there again when the person comes back to it", () => {
  show("f");
  act(() => stage().focus());
  press("n");
  cleanup();
  show("f");
  expect(boxes()).toHaveLength(2);
});

test("earlier decisions are shown with who made them", () => {
  show("g");
  expect(screen.getByText("anna").parentElement?.textContent).toMatch(/^anna: good/);
});
