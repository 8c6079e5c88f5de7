// A short signal for a bad product. Browsers play nothing before the person has touched the page once.
import { stored } from "../../logic/stored";

export const sound = stored("sound", ["off", "on"]);

let context: AudioContext | undefined;

export function beep(): void {
  context ??= new AudioContext();
  void context.resume();
  const start = context.currentTime;
  for (const [at, frequency] of [
    [0, 880],
    [0.16, 660],
  ] as const) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = frequency;
    tone.type = "triangle";
    volume.gain.setValueAtTime(0.3, start + at);
    volume.gain.exponentialRampToValueAtTime(0.001, start + at + 0.15);
    tone.connect(volume).connect(context.destination);
    tone.start(start + at);
    tone.stop(start + at + 0.15);
  }
}

export function switchSound(): void {
  sound.value = sound.value === "on" ? "off" : "on";
  if (sound.value === "on") beep();
}
