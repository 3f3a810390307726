// Bundles what each kind of worker thread runs into one file, for each module costs a starting thread a millisecond.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const dist = fileURLToPath(new URL('../dist/src/', import.meta.url))

/** @type {import('esbuild').BuildOptions} */
const options = {
  absWorkingDir: dist,
  bundle: true,
  outdir: '.',
  outbase: '.',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
}

// What Piscina runs, beside the modules themselves. It is CommonJS because Piscina tries that first. Of other packages, which
// CommonJS cannot all load, it needs only koffi.
await build({
  ...options,
  external: ['koffi'],
  entryPoints: [
    'pool/worker.js',
    'reference/interpreter.js',
    'model/calibration/compensated-rounding.js',
    'model/calibration/factor.js',
    'model/quantization/int4-regroup.js',
  ],
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href" },
})

// In place of the modules, for users' bundles have files of these names.
await build({
  ...options,
  packages: 'external',
  entryPoints: ['model/text/thread/text-worker.js', 'model/grammar/thread/grammar-worker.js'],
  format: 'esm',
  allowOverwrite: true,
})
