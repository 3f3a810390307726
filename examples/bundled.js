// A program without node_modules/dotpool: the bundle holds dotpool, and says where its parts are.
//
//   npx esbuild app=examples/bundled.js worker=dotpool/worker --bundle --platform=node --format=esm \
//     --external:koffi --external:piscina --outdir=dist/bundle
//   node dist/bundle/app.js native/build/libdotpool.so
//
// Prints `Linear(in_features=64, ...) on Pool(threads=..., isa=...): 128`. The file is the library of the platform's
// package, such as @dotpool/linux-x64. A program with a model makes `text-worker=dotpool/text-worker` an entry, too.
// Simpler is to leave dotpool out of the bundle, by `--external:dotpool`: then it finds everything by itself.

import { Linear, Pool } from 'dotpool'

const pool = await Pool.create({
  workerUrl: new URL('./worker.js', import.meta.url),
  nativeLibrary: process.argv[2],
})
const weight = new Float32Array(64).fill(2)
const linear = await Linear.fromFloat(pool, weight, { inFeatures: 64, outFeatures: 1 })
const y = await linear.forward(new Float32Array(64).fill(1))
console.log(`${linear} on ${pool}: ${y[0]}`)

await pool.close()
