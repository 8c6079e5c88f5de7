import { ImageOff } from "lucide-preact";
import { useState } from "preact/hooks";
import { ownOrigin } from "../api/links";
import type { DrawnBox } from "../logic/boxes";
import { texts } from "../texts";
import { HeatMap } from "./heat-map";

/**
 * A picture with frames over it, as large as its place allows.
 *
 * Frames are in pixels of the upright picture. `width` and `height` are the record's; without them the picture's own
 * size counts, which a browser also reports upright.
 */
export function Picture({
  link,
  alt,
  width,
  height,
  boxes = [],
  heatMap,
  active,
  onFocusBox,
}: {
  link: string | null | undefined;
  alt: string;
  width?: number | null;
  height?: number | null;
  boxes?: DrawnBox[];
  /** The link of a heat map, drawn between the picture and the frames. */
  heatMap?: string | null | undefined;
  /** The detection to stand out; the others fade. */
  active?: number | null;
  onFocusBox?: (detection: number | null) => void;
}) {
  const source = ownOrigin(link);
  // Which link was loaded, and which could not be: another link is neither.
  const [loaded, setLoaded] = useState<string | null>(null);
  const [gone, setGone] = useState<string | null>(null);
  const [natural, setNatural] = useState<[number, number] | null>(null);
  const [w, h] = width && height ? [width, height] : (natural ?? [1, 1]);
  if (!source || gone === source) {
    return (
      <div class="picture">
        <div class="state">
          <ImageOff size={36} strokeWidth={1.5} aria-hidden="true" />
          {source ? texts.errors.picture : texts.errors.noPicture}
        </div>
      </div>
    );
  }
  const faded = (box: DrawnBox): string =>
    active !== undefined && active !== null && box.detection !== active ? " box-faded" : "";
  return (
    <div class="picture">
      <div class="picture-frame" style={{ "--shape": String(w / h) }}>
        <img
          src={source}
          alt={alt}
          decoding="async"
          onLoad={(event) => {
            setNatural([event.currentTarget.naturalWidth, event.currentTarget.naturalHeight]);
            setLoaded(source);
          }}
          onError={() => setGone(source)}
        />
        {loaded === source && (
          <>
            {heatMap && <HeatMap key={heatMap} link={heatMap} width={w} height={h} />}
            <svg class="picture-boxes" viewBox={`0 0 ${w} ${h}`} preserveAspectRatio="none" aria-hidden="true">
              {boxes.map(({ box: [x1, y1, x2, y2], kind, detection }, index) => (
                <g
                  key={index}
                  class={faded({ detection } as DrawnBox)}
                  onPointerEnter={() => onFocusBox?.(detection ?? null)}
                  onPointerLeave={() => onFocusBox?.(null)}
                >
                  {kind !== "allowed" && <rect class="under" x={x1} y={y1} width={x2 - x1} height={y2 - y1} />}
                  <rect class={`box-${kind}`} x={x1} y={y1} width={x2 - x1} height={y2 - y1} />
                </g>
              ))}
            </svg>
            {boxes.map((box, index) => (
              <BoxLabel key={index} box={box} size={[w, h]} faded={faded(box)} />
            ))}
          </>
        )}
      </div>
    </div>
  );
}

/** The words of a frame: above it, or inside where there is no room above; at its right end near the right edge. */
function BoxLabel({
  box: { box, kind, label },
  size,
  faded,
}: {
  box: DrawnBox;
  size: [number, number];
  faded: string;
}) {
  const [x1, y1, x2] = box;
  const [w, h] = size;
  const below = y1 / h < 0.06;
  const left = x1 / w > 0.6;
  const anchor = left ? x2 : x1;
  return (
    <span
      class={`picture-label box-${kind}${below ? " below" : ""}${left ? " left" : ""}${faded}`}
      style={{ left: `${(anchor / w) * 100}%`, top: `${(Math.max(0, y1) / h) * 100}%` }}
    >
      {label}
    </span>
  );
}
