import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { DisposedError } from '#src/errors.js'
import { Decoder } from '#src/model/decoder/decoder.js'
import { loadParts } from '#src/model/load-parts.js'
import { Model } from '#src/model/model.js'
import { Int4Quantizer } from '#src/model/quantization/int4-quantizer.js'
import { Pool } from '#src/pool/pool.js'
import { randomCheckpoint } from './random-checkpoint.js'
import { fixture, temporaryFolder, writeCheckpoint } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 1 })
})
afterAll(async () => await pool.close())

const made = {
  biased: randomCheckpoint('Qwen2ForCausalLM', {}, { biases: true }),
  tied: randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true }),
}

/** Where that checkpoint is: as it was made, or saved in int8. */
async function pathOf(name: keyof typeof made | 'saved' | 'fixture', folder: string) {
  if (name === 'fixture') return fixture
  const { config, tensors } = made[name === 'saved' ? 'biased' : name]
  await writeCheckpoint(folder, config, tensors)
  if (name !== 'saved') return folder
  using model = await Model.load(pool, folder, { quantize: 'w8a8' })
  await model.save(join(folder, 'saved'))
  return join(folder, 'saved')
}

it.each<[Parameters<typeof pathOf>[0], object]>([
  ['biased', { quantize: 'w8a8', kvBytes: 1 }],
  ['biased', { quantize: 'none', kvBytes: 1e5 }],
  ['tied', { quantize: 'w8a8', maxContext: 200, kvBytes: 1 }],
  ['tied', { quantize: 'none', kv: 'int8', kvBytes: 3e5 }],
  ['tied', { quantize: 'w8a8', skip: ['lm_head'], kvBytes: 1 }],
  ['biased', { quantize: 'w4a8', kvBytes: 1 }],
  ['tied', { quantize: 'w4a8', skip: ['o_proj'], kvBytes: 1 }],
  ['tied', { quantize: 'w4a8', head: 'int4', kvBytes: 1 }],
  ['saved', { quantize: 'w4a8', kvBytes: 1 }],
  ['fixture', { kvBytes: 5e6 }],
  ['fixture', { quantize: 'none', kvBytes: 5e6 }],
])('tells what a checkpoint will take of memory: %s, %o', async (name, options) => {
  await using folder = await temporaryFolder()
  const path = await pathOf(name, folder.path)
  const info = await Model.inspect(path, options)

  let allocated = 0
  const { memory } = pool
  const allocate = memory.array
  memory.array = (type, length) => {
    const array = allocate.call(memory, type, length)
    allocated += array.byteLength
    return array as never
  }
  // what it searches of weights in four bits is copied into the Linears
  const { quantize } = Int4Quantizer.prototype
  Int4Quantizer.prototype.quantize = async function (...args) {
    const searched = await quantize.apply(this, args)
    allocated -= searched.multipliers.byteLength + searched.scale.byteLength
    return searched
  }
  const parts = await loadParts(pool, path, options)
  memory.array = allocate
  Int4Quantizer.prototype.quantize = quantize
  expect(info.parameterBytes).toBe(allocated)

  const decoder = new Decoder(parts, {})
  expect(info.kvBytes).toBe(decoder.stats.kvCapacityBytes)
  expect(info.maxContext).toBe(decoder.maxContext)
  expect(info.config).toEqual(decoder.config)
  decoder.dispose()
  await parts.texts.end(new DisposedError('the model'))
})
