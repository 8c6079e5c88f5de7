import { effect, signal } from "@preact/signals";
import { render } from "preact";
import { renew, sessionState } from "./api/session";
import { App } from "./app";
import { path } from "./logic/location";
import "./logic/theme";
import { Enter } from "./pages/sign-in";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/components.css";
import "./styles/shell.css";
import "./styles/pages.css";
import "./styles/line.css";
import "./styles/statistics.css";

// After a new version was published, a page that is still open asks for files that no longer exist.
window.addEventListener("vite:preloadError", () => window.location.reload());

const root = document.getElementById("app") as HTMLElement;
const ENTRY = /^\/enter\/([^/]+)$/;
const code = signal(ENTRY.exec(path.value)?.[1]);
// Such a link may also be opened in a tab that already shows the page.
effect(() => {
  const given = ENTRY.exec(path.value)?.[1];
  if (given) code.value = given;
});
const leave = (): void => {
  code.value = undefined;
};

function Root() {
  root.classList.toggle("bare", sessionState.value !== "in");
  if (!code.value) return <App />;
  return <Enter key={code.value} code={code.value} onEnd={leave} />;
}

if (!code.value) void renew();
render(<Root />, root);
