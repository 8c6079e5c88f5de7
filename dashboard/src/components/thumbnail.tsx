import { ImageOff } from "lucide-preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ownOrigin } from "../api/links";
import { forgetThumbnail, thumbnailOf } from "../logic/thumbnails";

/** A small square picture, loaded when it comes near the screen. It is decoration: what it shows stands beside it. */
export function Thumbnail({ id, link }: { id: string; link?: string | null }) {
  const frame = useRef<HTMLSpanElement>(null);
  const [near, setNear] = useState(false);
  const [source, setSource] = useState<string | null | undefined>(undefined);
  const [gone, setGone] = useState(false);

  useEffect(() => {
    const seen = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setNear(true);
      },
      { rootMargin: "300px" },
    );
    if (frame.current) seen.observe(frame.current);
    return () => seen.disconnect();
  }, []);

  useEffect(() => {
    if (!near) return;
    let current = true;
    setGone(false);
    if (link) setSource(ownOrigin(link));
    else void thumbnailOf(id).then((made) => current && setSource(ownOrigin(made)));
    return () => {
      current = false;
    };
  }, [near, id, link]);

  const missing = gone || source === null;
  return (
    <span class="thumb" ref={frame}>
      {missing ? (
        <ImageOff size={22} strokeWidth={1.5} aria-hidden="true" />
      ) : (
        source && (
          <img
            src={source}
            alt=""
            decoding="async"
            onError={() => {
              forgetThumbnail(id);
              setGone(true);
            }}
          />
        )
      )}
    </span>
  );
}
