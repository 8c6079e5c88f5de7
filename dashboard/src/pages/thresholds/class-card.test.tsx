// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, expect, test, vi } from "vitest";
import type { Preview, RulesDocument } from "../../api/paths.rules";
import { ClassCard } from "./class-card";

const document: RulesDocument = { version: "1", classes: { dent: { fail_score: 0.6, review_score: 0.4 } } };
const scores = { fail_score: 0.6, review_score: 0.4 };
const histogram = { edges: [0, 0.5, 1], accepted: [7, 1], rejected: [2, 9], undecided: [3, 0] };
const preview = { by_label: { dent: { histogram, current: scores, proposed: scores } } } as unknown as Preview;

afterEach(cleanup);

function show(label = "dent", line = "", rules = document) {
  const change = vi.fn();
  render(<ClassCard label={label} line={line} document={rules} inForce={document} preview={preview} change={change} />);
  return change;
}

test("what people have rejected is real, and what they have accepted is a false alarm", () => {
  show();
  expect(screen.getByRole("img").getAttribute("aria-label")).toBe(
    "Scores of the detections of dent: 11 real, 8 false, 3 not decided",
  );
});

test("both scores are sliders that keys move, and the lower one pushes the upper one up", () => {
  const change = show();
  const [review, fail] = screen.getAllByRole("slider");
  expect(review?.getAttribute("aria-valuetext")).toBe("0.40");
  fireEvent.keyDown(fail as Element, { key: "ArrowRight" });
  expect(change).toHaveBeenLastCalledWith({
    version: "1",
    classes: { dent: { fail_score: 0.61, review_score: 0.4 } },
  });
  fireEvent.keyDown(review as Element, { key: "End" });
  expect(change).toHaveBeenLastCalledWith({ version: "1", classes: { dent: { fail_score: 1, review_score: 1 } } });
});

test("what a class makes of a product is chosen for all lines or for one, and said where it never fails one", () => {
  const change = show("dent", "line-1");
  expect(screen.queryByText("only review")).toBeNull();
  const chosen = screen.getByRole("combobox", { name: "A defect means", hidden: true });
  expect((chosen as HTMLSelectElement).value).toBe("fail");
  fireEvent.change(chosen, { target: { value: "review" } });
  const changed = { ...document, lines: { "line-1": { dent: { verdict: "review" } } } };
  expect(change).toHaveBeenLastCalledWith(changed);
  cleanup();
  show("dent", "line-1", changed);
  expect(screen.getByText("only review")).toBeDefined();
});

test("an anomaly is explained, and other classes are not", () => {
  show();
  expect(screen.queryByText(/unlike all good parts/)).toBeNull();
  cleanup();
  show("anomaly");
  expect(screen.getByText(/unlike all good parts/)).toBeDefined();
});
