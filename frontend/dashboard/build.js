/**
 * Builds the dashboard's one script and one stylesheet into the Django app's static files.
 *
 * `node build.js` writes them; `node build.js --out DIR` writes them elsewhere, to compare with the committed ones.
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { build } from "esbuild";

/** @param {string} path */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const { values } = parseArgs({
  options: { out: { type: "string", default: here("../../livereferrals/static/livereferrals") } },
});

await build({
  absWorkingDir: here("."),
  // idiomorph's extension imports htmx; the page has it already, from django-htmx.
  alias: { "htmx.org": here("src/htmx.js") },
  banner: {
    js: "/* livereferrals, MIT; contains idiomorph, 0BSD: see LICENSES.txt. Built from frontend/dashboard. */",
  },
  bundle: true,
  charset: "utf8",
  entryPoints: { app: here("src/app.js"), "app-css": here("src/app.css") },
  entryNames: "app",
  format: "iife",
  legalComments: "none",
  logLevel: "warning",
  minify: true,
  outdir: values.out,
  target: ["chrome120", "firefox121", "safari17.4"],
});
