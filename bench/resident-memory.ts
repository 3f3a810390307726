import { randomFillSync } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { Linear, Pool, type Tensor } from '../src/index.js'
import { randomRows } from './dotpool.js'
import { type Shape, shapes } from './runner.js'

/*
 * A process of its own, so that no other memory changes meanwhile: makes Linears, sends rows through all of them, and
 * prints as JSON how many bytes of resident memory a weight has taken at each point.
 */

/** Bytes of all Linears together, far more than a pool stages for a call. */
const WEIGHTS = 512 << 20

/** Linux reports the peak of resident memory here. */
const STATUS = '/proc/self/status'

/** Rows, and memory for their results. */
interface Activations {
  x: Tensor<'float32'>
  out: Tensor<'float32'>
}

/** The input and output for Linears of one shape. */
interface Calls {
  shape: Shape
  decode: Activations
  prefill: Activations
}

interface Layer {
  linear: Linear
  calls: Calls
}

await using pool = await Pool.create({ threads: Number(process.argv[2]) })
// the caller's memory is allocated before the Linears
const source = randomFillSync(new Int8Array(Math.max(...shapes.map(({ k, n }) => k * n))))
const calls = shapes.map((shape) => ({
  shape,
  decode: activations(1, shape),
  prefill: activations(512, shape),
}))

const before = process.memoryUsage.rss()
const layers = await makeLayers()
const made = perWeight(process.memoryUsage.rss())
for (const { linear, calls } of layers)
  linear.forwardSync(calls.decode.x, { out: calls.decode.out })
const decoded = perWeight(process.memoryUsage.rss())
for (const { linear, calls } of layers)
  linear.forwardSync(calls.prefill.x, { out: calls.prefill.out })
const prefilled = perWeight(process.memoryUsage.rss())
const peak = peakBytes()
console.log(
  JSON.stringify({
    'Linears made': made,
    'after M=1 on all': decoded,
    'after M=512 on all': prefilled,
    ...(peak !== undefined && { 'at most, at any time': perWeight(peak) }),
  }),
)

function activations(m: number, { k, n }: Shape): Activations {
  const out = pool.tensor('float32', [m, n])
  // memory becomes resident when it is first written
  out.data.fill(1)
  return { x: randomRows(pool, m, k), out }
}

/** Linears of all shapes in turn, from the same source. */
async function makeLayers(): Promise<Layer[]> {
  const layers: Layer[] = []
  for (let weights = 0; weights < WEIGHTS; ) {
    const next = calls[layers.length % calls.length]
    const { k, n } = next.shape
    const weight = source.subarray(0, k * n)
    const linear = await Linear.fromInt8(pool, weight, 1 / 127, { inFeatures: k, outFeatures: n })
    layers.push({ linear, calls: next })
    weights += weight.length
  }
  return layers
}

function perWeight(residentBytes: number): number {
  const weights = layers.reduce(
    (sum, { linear }) => sum + linear.inFeatures * linear.outFeatures,
    0,
  )
  return (residentBytes - before) / weights
}

/** The peak of resident memory, where the system reports it. */
function peakBytes(): number | undefined {
  const status = existsSync(STATUS) ? readFileSync(STATUS, 'utf8') : ''
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
}
