// @vitest-environment happy-dom
import { cleanup, render, screen } from "@testing-library/preact";
import { afterEach, expect, it, vi } from "vitest";
import type { Inspection } from "../../api/types";
import { Gallery, whatDecided } from "./gallery";

vi.stubGlobal(
  "IntersectionObserver",
  class {
    observe(): void {}
    disconnect(): void {}
  },
);
afterEach(cleanup);

const HOSTILE = '<img src=x onerror="alert(1)">';
const inspection: Inspection = {
  id: "a/b",
  line: HOSTILE,
  station: "top",
  serial: HOSTILE,
  captured_at: "2026-11-28T21:00:00Z",
  received_at: "2026-11-28T21:00:00Z",
  inspected_at: "2026-11-28T21:00:00Z",
  verdict: "fail",
  reasons: [{ code: "defect", message: "defect", label: HOSTILE }],
  detections: [],
  image: "s3://b/k",
  version_id: "1",
  links: { picture: "/p", annotated: null, thumbnail: null },
};

it("shows names from outside as they are, never as markup", () => {
  const { container } = render(<Gallery items={[inspection]} />);
  expect(container.querySelector("img")).toBeNull();
  expect(screen.getAllByText(HOSTILE)).toHaveLength(2);
  expect(container.querySelector("a")?.getAttribute("href")).toBe("#/inspections/a%2Fb");
});

it("tells a verdict by its word, too", () => {
  render(<Gallery items={[inspection]} />);
  expect(screen.getByText("Fail")).toBeTruthy();
});

it("names each defect once, and without defects the first reason", () => {
  const reason = { code: "defect", message: "", label: "scratches" };
  expect(whatDecided({ reasons: [reason, reason, { ...reason, label: "patches" }] })).toBe("scratches, patches");
  expect(whatDecided({ reasons: [{ code: "corrupt_image", message: "damaged" }] })).toBe("damaged");
});
