/**
 * Turns a presigned link into one of the page's own origin.
 *
 * The page may load pictures from its own origin only, where path and query of the link open the same object. A link of
 * another kind than http(s) is no picture.
 */
export function ownOrigin(link: string | null | undefined): string | null {
  if (!link) return null;
  try {
    const url = new URL(link, "http://x");
    if (url.protocol !== "http:" && url.protocol !== "https:") return null;
    return url.pathname + url.search;
  } catch {
    return null;
  }
}
