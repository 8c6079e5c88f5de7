/** The picture of an inspection, with its size, and what to show if the browser cannot show it. */

import { useEffect, useState } from "preact/hooks";
import { ownOrigin } from "../../api/links";
import type { Inspection } from "../../api/types";
import type { Size } from "../../canvas/geometry";

export interface ShownPicture {
  /** Null until it is known. */
  readonly size: Size | null;
  readonly source: string | null;
  readonly preview: string | null;
  /** The browser cannot show the picture itself. */
  readonly broken: boolean;
  readonly onError: () => void;
}

/** The size of a picture that a browser loads; null if it cannot. */
function measure(source: string): Promise<Size | null> {
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve({ width: image.naturalWidth, height: image.naturalHeight });
    image.onerror = () => resolve(null);
    image.src = source;
  });
}

type Pictured = Pick<Inspection, "image_width" | "image_height" | "links">;

export function usePicture({ image_width: width, image_height: height, links }: Pictured): ShownPicture {
  const [source] = useState(() => ownOrigin(links.picture));
  const [preview] = useState(() => ownOrigin(links.thumbnail));
  const [size, setSize] = useState<Size | null>(width && height ? { width, height } : null);
  const [broken, setBroken] = useState(source === null);

  // The record of an image that could not be read has no size.
  useEffect(() => {
    if (size || !source) return;
    void measure(source).then((found) => {
      setBroken(found === null);
      setSize(found ?? { width: 640, height: 480 });
    });
  }, [source, size]);

  return { size, source: broken ? null : source, preview, broken, onError: () => setBroken(true) };
}
