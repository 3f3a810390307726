import { expect, it } from 'vitest'
import { randomCheckpoint } from '../model/random-checkpoint.js'
import { f32, fixture, temporaryFolder, writeCheckpoint } from '../model/support.js'
import { runScript } from '../support/child.js'

/** Noise of the heap; a leak would be far larger. */
const NOISE = 4e6

/**
 * Measures how many bytes the heap and buffers of a process grow while it repeats the same work, after a warm-up.
 *
 * @param folder of the checkpoint
 * @param act body of an async function of `i`, `pool` and `folder`
 */
async function growth(folder: string, setUp: string, act: string, times: number): Promise<number> {
  const { code, stdout, stderr } = await runScript(
    `
    import { Model, Pool } from 'dotpool'
    const pool = await Pool.create({ threads: 2 })
    const folder = ${JSON.stringify(folder)}
    ${setUp}
    const act = async (i) => { ${act} }
    const settled = async () => {
      let least = Infinity
      // one of V8's threads frees buffers some time after the collection
      for (let i = 0; i < 20; i++) {
        gc()
        await new Promise((resolve) => setTimeout(resolve, 10))
        const { heapUsed, arrayBuffers } = process.memoryUsage()
        least = Math.min(least, heapUsed + arrayBuffers)
      }
      return least
    }
    for (let i = 0; i < ${times}; i++) await act(i)
    const before = await settled()
    for (let i = ${times}; i < ${2 * times}; i++) await act(i)
    console.log(await settled() - before)
    await pool.close()`,
    { flags: ['--expose-gc'] },
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return Number(stdout)
}

it('does not grow with requests, once the prefix cache is full', async () => {
  // each takes a page of 0.8 MB, of the 512 MB that are kept
  const bytes = await growth(
    fixture,
    `const model = await Model.load(pool, folder, { kv: 'float32' })`,
    `for await (const _ of model.generateTokens([i % 2048, 7], { maxTokens: 1, ignoreEnd: true }));`,
    800,
  )
  expect(bytes).toBeLessThan(NOISE)
})

it('does not grow with requests that their consumers leave early', async () => {
  const bytes = await growth(
    fixture,
    `const model = await Model.load(pool, folder, { kv: 'float32', prefixCache: false })`,
    `await model.generateTokens([i % 2048, 7]).next()
     await model.generate('O').next()`,
    100,
  )
  expect(bytes).toBeLessThan(NOISE)
})

it('does not grow with aborted requests', async () => {
  const bytes = await growth(
    fixture,
    `const model = await Model.load(pool, folder, { kv: 'float32' })`,
    `const signal = AbortSignal.timeout(3)
     const ids = Array.from({ length: 900 }, (_, j) => (i + j) % 2048)
     await model.logits(ids, { signal }).catch(() => {})`,
    30,
  )
  expect(bytes).toBeLessThan(NOISE)
})

it('does not grow with models that are loaded and disposed of', async () => {
  const bytes = await growth(
    fixture,
    '',
    `const model = await Model.load(pool, folder)
     for await (const _ of model.generate('O', { maxTokens: 2 }));
     model.dispose()`,
    12,
  )
  expect(bytes).toBeLessThan(NOISE)
})

it('does not grow with checkpoints that are refused at their last weight', async () => {
  await using folder = await temporaryFolder()
  const { config, tensors } = randomCheckpoint('LlamaForCausalLM', {
    hidden_size: 256,
    vocab_size: 8000,
  })
  // 8 MB each for the embedding and the head, which comes last
  const broken = new Float32Array(8000 * 256)
  broken[broken.length - 1] = Number.NaN
  tensors['lm_head.weight'] = f32([8000, 256], broken)
  await writeCheckpoint(folder.path, config, tensors)
  const bytes = await growth(
    folder.path,
    '',
    `await Model.load(pool, folder, { quantize: 'w8a8' }).catch(({ code }) => {
       if (code !== 'ERR_DOTPOOL_FORMAT') throw new Error(code)
     })`,
    12,
  )
  expect(bytes).toBeLessThan(NOISE)
})
