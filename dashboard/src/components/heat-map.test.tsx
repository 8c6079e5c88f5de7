// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { render as renderNow } from "preact";
import { afterEach, expect, test, vi } from "vitest";
import { HeatMap, HeatMapSwitch, useHeatMapKey } from "./heat-map";

afterEach(cleanup);

function Pictured() {
  useHeatMapKey(true);
  return (
    <>
      <HeatMapSwitch />
      <textarea aria-label="Comment" />
    </>
  );
}

const shown = () => (screen.getByRole("checkbox", { name: /Heat map/ }) as HTMLInputElement).checked;
const press = (key: string, more = {}) => fireEvent.keyDown(document.activeElement ?? document.body, { key, ...more });

test("H shows and hides the heat map, unless it is typed or belongs to the browser, and the choice is remembered", () => {
  render(<Pictured />);
  expect(shown()).toBe(true);
  press("h");
  expect(shown()).toBe(false);
  expect(localStorage.getItem("loupe-heat-map")).toBe("off");
  press("h", { ctrlKey: true });
  act(() => screen.getByRole("textbox").focus());
  press("h");
  expect(shown()).toBe(false);
  // The slider takes no letters, so that the key works there, too.
  act(() => screen.getByRole("slider").focus());
  press("H");
  expect(shown()).toBe(true);
  expect(localStorage.getItem("loupe-heat-map")).toBeNull();
});

test("a key that is pressed as soon as the picture stands there counts", async () => {
  const root = document.body.appendChild(document.createElement("div"));
  // Not testing-library's render: that waits until everything after the paint has run.
  renderNow(<Pictured />, root);
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "h", bubbles: true }));
  await waitFor(() => expect(shown()).toBe(false));
  act(() => screen.getByRole("checkbox").click());
  act(() => renderNow(null, root));
});

test("nothing but a picture in the answer itself is loaded as a heat map", () => {
  const load = vi.fn();
  vi.stubGlobal(
    "Image",
    class {
      set src(link: string) {
        load(link);
      }
      decode = () => Promise.reject(new Error("no picture"));
    },
  );
  for (const link of ["https://elsewhere.example/map.png", "data:image/svg+xml;base64,AAAA", "data:image/png,x"]) {
    render(<HeatMap link={link} width={10} height={10} />);
  }
  expect(load).not.toHaveBeenCalled();
  render(<HeatMap link="data:image/png;base64,AAAA" width={10} height={10} />);
  expect(load).toHaveBeenCalledOnce();
  vi.unstubAllGlobals();
});
