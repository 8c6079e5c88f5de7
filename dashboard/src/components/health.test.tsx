// @vitest-environment happy-dom
import { cleanup, render, screen } from "@testing-library/preact";
import { afterEach, describe, expect, it } from "vitest";
import type { Health } from "../api/types";
import { HealthNotices } from "./health";

afterEach(cleanup);

const health = (endpoint: Health["endpoint"]): Health => ({
  endpoint,
  lines: [],
  alarms: [],
  rules_version: "1",
  problems: [],
});

describe("the notices about the endpoint", () => {
  it("say until when it rests, and raise no alarm for it", () => {
    const endpoint = { name: "press", status: "Missing", model: null, rests_until: "2030-01-07T05:45:00.000Z" };
    render(<HealthNotices health={health(endpoint)} />);
    expect(screen.getByRole("status").textContent).toMatch(/rests until .*45/);
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("alarm if there is none during a shift", () => {
    render(<HealthNotices health={health({ name: "press", status: "Missing", model: null })} />);
    expect(screen.getByRole("alert").textContent).toContain("No model serves");
  });
});
