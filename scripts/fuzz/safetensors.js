import { parseHeader } from '../../dist/src/model/checkpoint/safetensors-header.js'
import { parseJson } from '../../dist/src/model/json/json.js'
import { mutatedBytes, mutatedJson } from './mutate.js'
import { FILE, textOf } from './target.js'

const itemSizes = { F32: 4, BF16: 2, F16: 2, I8: 1, I64: 8, BOOL: 1 }

/** Before offsets are computed, so that documents changed here mostly stay valid. */
const layouts = [
  [
    ['model.embed_tokens.weight', 'F32', [6, 8]],
    ['model.norm.weight', 'F32', [8]],
  ],
  [
    ['a', 'I8', [3, 5]],
    ['a_scale', 'BF16', [3, 1]],
    ['b', 'I64', []],
    ['c', 'F16', [0, 7]],
    ['d', 'BOOL', [2]],
  ],
]

/** @param {unknown} layout @returns {[header: object, dataBytes: number]} */
function headerOf(layout) {
  let end = 0
  const entries = [layout].flat(1).map((tensor) => {
    const [name, dtype, shape] = Array.isArray(tensor) ? tensor : [tensor]
    const size = /** @type {Record<string, number>} */ (itemSizes)[dtype] ?? 1
    const begin = end
    const dims = Array.isArray(shape) ? shape : []
    end += dims.reduce((bytes, dim) => bytes * Number(dim), size)
    return [String(name), { dtype, shape, data_offsets: [begin, end] }]
  })
  return [{ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }, end]
}

/** The size of the data, then the header. */
/** @param {unknown} header @param {number} dataBytes */
function documentOf(header, dataBytes) {
  const size = Buffer.alloc(8)
  size.writeDoubleLE(dataBytes)
  return Buffer.concat([size, textOf(header)])
}

/** @type {import('./target.js').Target} */
export const safetensors = {
  name: 'safetensors',
  generate(random) {
    if (random.chance(1 / 2)) return documentOf(...headerOf(mutatedJson(random, layouts)))
    const [header, dataBytes] = headerOf(random.pick(layouts))
    if (random.chance(1 / 2)) return documentOf(mutatedJson(random, [header]), dataBytes)
    const bytes = documentOf(header, dataBytes)
    return Buffer.concat([bytes.subarray(0, 8), mutatedBytes(random, bytes.subarray(8))])
  },
  open(bytes) {
    const dataBytes = Buffer.from(bytes).readDoubleLE()
    const entries = parseHeader(FILE, parseJson(FILE, bytes.subarray(8)), dataBytes)
    let end = 0
    for (const [name, { begin, byteLength }] of entries) {
      if (begin !== end) throw new Error(`${name} begins at ${begin}, not at ${end}`)
      end += byteLength
    }
    if (end !== dataBytes) throw new Error(`tensors end at ${end} of ${dataBytes}`)
    return []
  },
}
