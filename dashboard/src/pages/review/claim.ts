/** One's claim on an image: renewed each minute while the person is active, and noticed when it is lost. */

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/errors";
import type { ClaimedReview } from "../../api/paths.review";
import { toastError } from "../../components/toasts";
import { useNow } from "../../hooks/now";
import { renewClaim } from "./desk";
import { countdown } from "./logic";

const RENEW_MS = 60_000;
const SIGNS_OF_LIFE = ["pointerdown", "pointermove", "keydown", "wheel"] as const;
const LOST_CODES = new Set([
  "already_claimed",
  "not_claimed",
  "claim_expired",
  "stale_version",
  "not_found",
  "not_queued",
]);

/** Whether an answer means that the image is no longer this person's. */
export function isLost(error: unknown): error is ApiError {
  return error instanceof ApiError && LOST_CODES.has(error.code);
}

export interface Claim {
  /** The item as last answered. */
  readonly item: ClaimedReview;
  /** Minutes and seconds that are left; null once the claim is over. */
  readonly left: string | null;
  readonly lost: ApiError | null;
  readonly lose: (error: ApiError) => void;
  /** Claim again. */
  readonly renew: () => Promise<void>;
}

export function useClaim(first: ClaimedReview): Claim {
  const [item, setItem] = useState(first);
  const [lost, setLost] = useState<ApiError | null>(null);
  const now = useNow();
  const active = useRef(false);

  const renew = useCallback(async () => {
    try {
      const renewed = await renewClaim(first.id);
      // A renewal that answers late must not bring an old version back.
      setItem((before) =>
        renewed.version >= before.version ? { ...before, ...renewed, inspection: before.inspection } : before,
      );
      setLost(null);
    } catch (error) {
      if (isLost(error)) setLost(error);
      else toastError(error);
    }
  }, [first.id]);

  useLayoutEffect(() => {
    const live = () => {
      active.current = true;
    };
    for (const sign of SIGNS_OF_LIFE) window.addEventListener(sign, live, { passive: true, capture: true });
    return () => {
      for (const sign of SIGNS_OF_LIFE) window.removeEventListener(sign, live, { capture: true });
    };
  }, []);

  useEffect(() => {
    const timer = setInterval(() => {
      if (active.current && !document.hidden && lost === null) void renew();
      active.current = false;
    }, RENEW_MS);
    return () => clearInterval(timer);
  }, [renew, lost]);

  const until = item.claim?.until;
  return { item, left: until && lost === null ? countdown(until, now) : null, lost, lose: setLost, renew };
}
