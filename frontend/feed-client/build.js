// Bundles the sources into one minified module: `npm run build`, or `node build.js --out <directory>`.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const { values } = parseArgs({ options: { out: { type: "string", default: "dist" } } });
const here = fileURLToPath(new URL(".", import.meta.url));

await build({
  absWorkingDir: here,
  entryPoints: { "feed-client": "src/index.js" },
  outdir: values.out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  banner: { js: "/*! @livereferrals/feed-client, MIT licence */" },
});
