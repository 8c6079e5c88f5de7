// Light or dark: as the device says, until the person chooses. The choice stays in this browser.
import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";
const KEY = "loupe-theme";
const device = window.matchMedia("(prefers-color-scheme: dark)");

const chosen = signal<Theme | null>(read());
const ofDevice = signal<Theme>(device.matches ? "dark" : "light");
device.addEventListener("change", (event) => {
  ofDevice.value = event.matches ? "dark" : "light";
});

// A browser that stores nothing (private windows) throws; the choice then lasts as long as the page.
function read(): Theme | null {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    return null;
  }
}

export const theme = (): Theme => chosen.value ?? ofDevice.value;

export function switchTheme(): void {
  chosen.value = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, chosen.value);
  } catch {
    // Not kept, see above.
  }
}

effect(() => {
  document.documentElement.dataset.theme = theme();
});
