import { defineConfig } from "vitest/config";

// `npm run dev` serves the page by itself and passes everything else on to a running site (LOUPE_SITE=http://127.0.0.1:PORT).
const site = process.env.LOUPE_SITE ?? "http://127.0.0.1:4580";
const passedOn = ["/api", "/incoming", "/annotated", "/thumbnails", "/labelled", "/reports"];

export default defineConfig({
  // The page lies at the root of its origin, and its Content-Security-Policy allows files of that origin alone.
  base: "/",
  build: {
    target: "es2022",
    // One style sheet: a page that is loaded later must not move what is already there.
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // What several pages use is one file, not one for each icon.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "shared", minShareCount: 2 }] } } },
  },
  server: {
    proxy: Object.fromEntries(passedOn.map((path) => [path, { target: site }])),
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    // One worker loads everything once, in a quarter of the time.
    pool: "threads",
    isolate: false,
  },
});
