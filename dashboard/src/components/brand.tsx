import { texts } from "../texts";

/** The product's mark and name; as a link it leads to the first page. */
export function Brand({ link = false }: { link?: boolean }) {
  const content = (
    <>
      <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="#1a56db" />
        <circle cx="14" cy="14" r="6.5" fill="none" stroke="#fff" stroke-width="3" />
        <path d="M19 19l6 6" stroke="#fff" stroke-width="3.4" stroke-linecap="round" />
      </svg>
      <span class="word">{texts.product}</span>
    </>
  );
  return link ? (
    <a class="brand" href="#/" aria-label={texts.product}>
      {content}
    </a>
  ) : (
    <div class="brand">{content}</div>
  );
}
