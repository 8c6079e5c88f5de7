// Checks what is committed in dist/: that it is what a build makes of these sources, and that it stays small.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const MOST_GZIPPED = 150_000;

const filesOf = (folder) =>
  readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => relative(folder, path))
    .sort();

function differences(fresh, committed) {
  const names = new Set([...filesOf(fresh), ...filesOf(committed)]);
  const read = (folder, name) => {
    try {
      return readFileSync(join(folder, name));
    } catch {
      return null;
    }
  };
  return [...names].filter((name) => {
    const [a, b] = [read(fresh, name), read(committed, name)];
    return !a || !b || !a.equals(b);
  });
}

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const fresh = mkdtempSync(join(tmpdir(), "loupe-dashboard-"));
const problems = [];
try {
  await build({ root, logLevel: "warn", build: { outDir: fresh, emptyOutDir: true } });
  const different = differences(fresh, dist);
  if (different.length > 0)
    problems.push(`dist/ is not what these sources build: ${different.join(", ")}. Run \`make dashboard\`.`);
} finally {
  rmSync(fresh, { recursive: true });
}
const size = filesOf(dist)
  .filter((name) => /\.(js|css)$/.test(name))
  .reduce((sum, name) => sum + gzipSync(readFileSync(join(dist, name)), { level: 9 }).length, 0);
if (size > MOST_GZIPPED)
  problems.push(`JavaScript and CSS are ${size} bytes gzipped; at most ${MOST_GZIPPED} are allowed.`);
if (/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/.test(readFileSync(join(dist, "index.html"), "utf8")))
  problems.push("index.html contains an inline script or style, which the page's policy forbids.");

for (const problem of problems) console.error(`dashboard: ${problem}`);
console.info(`dashboard: ${size} bytes of JavaScript and CSS gzipped, of ${MOST_GZIPPED}`);
process.exit(problems.length > 0 ? 1 : 0);
