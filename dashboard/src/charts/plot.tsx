import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../logic/theme";

export type PlotOptions = Omit<uPlot.Options, "width" | "height">;

/** A colour of the style sheet, for a canvas, which knows no style sheets. */
export const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** How axes look in all charts. */
export function axis(more: uPlot.Axis = {}): uPlot.Axis {
  return {
    stroke: colour("muted"),
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: colour("chart-grid"), width: 1 },
    ticks: { show: false },
    gap: 6,
    ...more,
  };
}

/**
 * A chart as wide as its place, drawn again in another theme.
 *
 * @param options - Makes uPlot's options; called after the theme is in force, so that it may ask for colours.
 * @param label - What it shows, in words: a canvas is nothing to who cannot see it.
 */
export function Plot({
  options,
  data,
  height,
  label,
}: {
  options: () => PlotOptions;
  data: uPlot.AlignedData;
  height: number;
  label: string;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const latest = useRef(options);
  latest.current = options;
  const look = theme();

  // The look is no input, but the colours follow it.
  useEffect(() => {
    const place = frame.current;
    if (!place) return;
    const plot = new uPlot({ ...latest.current(), width: place.clientWidth || 300, height }, data, place);
    const resized = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height }));
    resized.observe(place);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [data, height, look]);
  return <div class="plot" ref={frame} role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
