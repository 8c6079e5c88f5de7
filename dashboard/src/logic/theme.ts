// Light or dark: as the device says, until the person chooses.
import { effect, signal } from "@preact/signals";
import { stored } from "./stored";

const device = window.matchMedia("(prefers-color-scheme: dark)");
const chosen = stored("theme", ["device", "light", "dark"]);
const ofDevice = signal(device.matches);
device.addEventListener("change", (event) => {
  ofDevice.value = event.matches;
});

export const theme = (): "light" | "dark" => {
  if (chosen.value !== "device") return chosen.value;
  return ofDevice.value ? "dark" : "light";
};

export function switchTheme(): void {
  chosen.value = theme() === "dark" ? "light" : "dark";
}

effect(() => {
  document.documentElement.dataset.theme = theme();
});
