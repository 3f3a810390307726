// Bundles what each kind of worker thread runs into one file, for each module costs a starting thread a millisecond.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const dist = fileURLToPath(new URL('../dist/src/', import.meta.url))

/** @type {import('esbuild').BuildOptions} */
const options = {
  absWorkingDir: dist,
  bundle: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
}

// CommonJS, which Piscina tries first. The module itself stays, for users' bundles.
await build({
  ...options,
  entryPoints: ['pool/worker.js'],
  outfile: 'pool/worker.cjs',
  format: 'cjs',
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href" },
})

// in place, because users' bundles have files of these names
await build({
  ...options,
  entryPoints: ['model/text/thread/text-worker.js', 'model/grammar/thread/grammar-worker.js'],
  outdir: '.',
  outbase: '.',
  format: 'esm',
  allowOverwrite: true,
})
