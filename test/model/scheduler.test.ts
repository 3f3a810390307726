import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WorkerDiedError } from '#src/errors.js'
import { headBytes } from '#src/layouts/kv-page.js'
import { Batch } from '#src/model/decoder/batch.js'
import {
  GenerateRequest,
  type LogitsProcessor,
  type TokenSink,
} from '#src/model/decoder/generate-request.js'
import { PagePool } from '#src/model/decoder/page.js'
import { PrefixCache } from '#src/model/decoder/prefix-cache.js'
import { Rotations } from '#src/model/decoder/rotations.js'
import { Scheduler } from '#src/model/decoder/scheduler.js'
import { Step, type StepContext } from '#src/model/decoder/step.js'
import { Workspace } from '#src/model/decoder/workspace.js'
import { TokenSampler } from '#src/model/generation/sampler.js'
import type { ModelParts } from '#src/model/load.js'
import { loadParts } from '#src/model/load-parts.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import { shallowFixture } from '../support/shallow-fixture.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

/** Fails `runsLeft` and `samplesLeft` times as if a worker had died after all its work was done. */
class DyingStep extends Step {
  runsLeft = 0
  samplesLeft = 0

  override async run(signal: AbortSignal): Promise<void> {
    await super.run(signal)
    if (this.runsLeft-- > 0) throw new WorkerDiedError('run')
  }

  override async sampleAgain(logits: Float32Array, signal: AbortSignal): Promise<void> {
    await super.sampleAgain(logits, signal)
    if (this.samplesLeft-- > 0) throw new WorkerDiedError('sample')
  }
}

describe('a step in which a worker dies', () => {
  const ids = [7, 8, 9, 8]
  const SEEDS = 20
  const sampling = { temperature: 1, repetitionPenalty: 1.5, topK: 20 }

  let parts: ModelParts
  beforeAll(async () => {
    parts = await loadParts(pool, shallowFixture(), {})
  })

  /** The tokens sampled with several seeds, where workers die `runs` and `samples` times at each. */
  async function sample(runs: number, samples: number, processors: LogitsProcessor[] = []) {
    const sampled: number[] = []
    for (let seed = 0; seed < SEEDS; seed++)
      sampled.push(await sampleOne(seed, runs, samples, processors))
    return sampled
  }

  async function sampleOne(
    seed: number,
    runs: number,
    samples: number,
    processors: LogitsProcessor[],
  ) {
    const { network, cacheType, maxContext } = parts
    const workspace = new Workspace(pool, network.config)
    const rotations = new Rotations(pool.memory, network.config, maxContext)
    const context: StepContext = { pool, network, cacheType, workspace, rotations }
    const { maxRows, maxOutputs } = workspace
    const batch = new Batch(pool, maxRows, maxOutputs, network.config.hiddenSize)
    const step = new DyingStep(context, batch, batch)
    step.runsLeft = runs
    step.samplesLeft = samples
    const { numHiddenLayers, numKeyValueHeads, headDim } = network.config
    const pageBytes = numHiddenLayers * numKeyValueHeads * headBytes(cacheType, headDim)
    const pages = new PagePool(pool, pageBytes, 1)
    const prefixes = new PrefixCache(false)
    const scheduler = new Scheduler({
      model: {},
      pool,
      steps: [step],
      pages,
      prefixes,
      limits: { maxQueue: 1, maxQueuedTokens: 1e6 },
    })
    const sampler = new TokenSampler(pool.memory, { ...sampling, seed }, ids, 10, undefined)
    return await new Promise<number>((resolve, reject) => {
      const sink: TokenSink = {
        room: 1,
        push: (token) => {
          resolve(token)
          return true
        },
        replay: () => false,
        end: () => {},
        fail: reject,
      }
      const limits = { maxTokens: 1, maxContext, endTokens: [], signal: undefined }
      scheduler.submit(new GenerateRequest(ids, { sampler, sink, processors, ...limits }))
    })
  }

  it('is repeated, twice, with the same result', async () => {
    const expected = await sample(0, 0)
    expect(await sample(1, 0)).toEqual(expected)
    expect(await sample(2, 0)).toEqual(expected)
    await expect(sample(3, 0)).rejects.toThrow(WorkerDiedError)
  })

  it('is repeated with processed logits too, which are processed once', async () => {
    const expected = await sample(0, 0)
    for (const samples of [0, 1, 2]) {
      let calls = 0
      expect(await sample(2, samples, [() => void calls++])).toEqual(expected)
      expect(calls).toBe(SEEDS)
    }
    await expect(sample(0, 3, [() => {}])).rejects.toThrow(WorkerDiedError)
  })
})
