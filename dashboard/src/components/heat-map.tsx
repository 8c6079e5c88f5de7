/** What an anomaly model finds unusual, drawn over the picture, and the switch for it. */

import { Flame } from "lucide-preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type HeatMap as Heat, hottest, painted } from "../logic/heat-map";
import { stored } from "../logic/stored";
import { texts } from "../texts";
import { Button } from "./button";

const shown = stored("heat-map", ["on", "off"]);
const STRENGTHS = ["100", "80", "60", "40", "20"] as const;
const strength = stored("heat-map-strength", STRENGTHS);

export const toggleHeatMap = (): void => {
  shown.value = shown.value === "on" ? "off" : "on";
};

const MOST_PLACES = 256;
/** Drawn this many times as large; the browser stretches the rest. */
const PIXELS_OF_PLACE = 8;
const MOST_PIXELS = 512;

/** The values of a heat map; null if the link leads to none. */
async function read(link: string): Promise<Heat | null> {
  // Only what is in the answer itself is shown, and only as a picture.
  if (!/^data:image\/png;base64,[A-Za-z0-9+/=]+$/.test(link)) return null;
  const image = new Image();
  image.src = link;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  if (!context || Math.max(width, height) > MOST_PLACES) return null;
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, values: data.filter((_, index) => index % 4 === 0) };
}

function paint(canvas: HTMLCanvasElement, heat: Heat): void {
  const [width, height] = [heat.width, heat.height].map((places) => Math.min(MOST_PIXELS, places * PIXELS_OF_PLACE));
  if (!width || !height) return;
  Object.assign(canvas, { width, height });
  canvas.getContext("2d")?.putImageData(new ImageData(painted(heat, width, height), width, height), 0, 0);
}

/** The heat map, as large as what it lies in. `width` and `height` are the picture's, for the words. */
export function HeatMap({ link, width, height }: { link: string; width: number; height: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [heat, setHeat] = useState<Heat | null>(null);
  const drawn = shown.value === "on" ? heat : null;

  useEffect(() => {
    let current = true;
    const take = (found: Heat | null): void => {
      if (current) setHeat(found);
    };
    read(link).then(take, () => take(null));
    return () => {
      current = false;
    };
  }, [link]);
  useLayoutEffect(() => {
    if (drawn && canvas.current) paint(canvas.current, drawn);
  }, [drawn]);

  if (!drawn) return null;
  const place = hottest(drawn);
  return (
    <canvas
      ref={canvas}
      class="heat-map"
      role="img"
      aria-label={place ? texts.heatMap.hottest(place[0], place[1], width, height) : texts.heatMap.cold}
      style={{ opacity: Number(strength.value) / 100 }}
    />
  );
}

/** The switch of the heat map where there is room for an icon only. */
export function HeatMapButton() {
  const on = shown.value === "on";
  return (
    <Button
      class={on ? "set" : ""}
      icon={Flame}
      aria-pressed={on}
      aria-label={texts.heatMap.toggle}
      onClick={toggleHeatMap}
    />
  );
}

/** Shows and hides the heat map, and makes it weaker; whoever moves the slider wants to see it. */
export function HeatMapSwitch() {
  const on = shown.value === "on";
  return (
    <span class="heat-map-switch">
      <label class="check">
        <input type="checkbox" checked={on} aria-keyshortcuts="H" onChange={toggleHeatMap} />
        {texts.heatMap.name}
        <kbd>H</kbd>
      </label>
      <input
        type="range"
        min={20}
        max={100}
        step={20}
        aria-label={texts.heatMap.strength}
        title={texts.heatMap.strength}
        value={strength.value}
        onInput={(event) => {
          const value = event.currentTarget.value;
          strength.value = STRENGTHS.find((each) => each === value) ?? STRENGTHS[0];
          shown.value = "on";
        }}
      />
    </span>
  );
}

/** The key of the switch, while there is a heat map. */
export function useHeatMapKey(active: boolean): void {
  // Not useEffect: it runs after the paint, and a key pressed in between would be lost.
  useLayoutEffect(() => {
    if (!active) return;
    const listen = (event: KeyboardEvent): void => {
      if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.key.toLowerCase() !== "h") return;
      if (
        event.target instanceof Element &&
        event.target.closest("textarea, select, dialog, input:not([type=range], [type=checkbox])")
      )
        return;
      toggleHeatMap();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [active]);
}
