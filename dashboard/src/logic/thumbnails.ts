// Thumbnails are made when somebody looks: the pictures on the screen are asked for together, 48 at a time.
import { api, ask } from "../api/client";

const AT_ONCE = 48;
const GATHER_MS = 40;

const known = new Map<string, Promise<string | null>>();
const waiting: { id: string; answer: (link: string | null) => void }[] = [];
let gathering = false;

function gather(ms: number): void {
  gathering = true;
  setTimeout(request, ms);
}

async function request(): Promise<void> {
  gathering = false;
  const batch = waiting.splice(0, AT_ONCE);
  if (waiting.length > 0) gather(0);
  try {
    const ids = batch.map(({ id }) => id);
    const { items } = await ask(api.POST("/api/inspections/thumbnails", { body: { ids } }));
    const links = new Map(items.map((item) => [item.id, item.thumbnail ?? null]));
    for (const { id, answer } of batch) answer(links.get(id) ?? null);
  } catch {
    for (const { id, answer } of batch) {
      // Asked again when it comes into view again.
      known.delete(id);
      answer(null);
    }
  }
}

/** The link of an inspection's thumbnail; `null` if there is none. */
export function thumbnailOf(id: string): Promise<string | null> {
  let link = known.get(id);
  if (!link) {
    link = new Promise((answer) => waiting.push({ id, answer }));
    known.set(id, link);
    if (!gathering) gather(GATHER_MS);
  }
  return link;
}

/** Forgets a link, because it has expired. */
export const forgetThumbnail = (id: string): boolean => known.delete(id);
