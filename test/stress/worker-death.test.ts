import { expect, it } from 'vitest'
import { loadWasm } from '#src/native/load.js'
import { runScript } from '../support/child.js'

/** Its threads die in the middle of a claim, those of the native library only in between. */
const [wasm] = (loadWasm()?.isas() ?? []).slice(-1)

// in a process of its own: what must not happen is that its event loop stands still for ever
it.skipIf(wasm === undefined)(
  'a blocking call ends though a worker dies meanwhile, in the midst of a claim',
  async () => {
    const { code, stdout, stderr } = await runScript(
      `
      import { Linear, Pool } from 'dotpool'
      const serving = new Set()
      process.on('worker', (worker) => {
        worker.on('message', (message) => typeof message === 'number' && serving.add(worker))
        worker.on('exit', () => serving.delete(worker))
      })
      const pool = await Pool.create({ threads: 2 })
      const shape = { inFeatures: 512, outFeatures: 640 }
      const layer = await Linear.fromInt8(pool, new Int8Array(512 * 640).fill(1), 1, shape)
      const x = new Float32Array(512 * 200).fill(127)
      const codes = new Set()
      for (let i = 0; i < 100 && !codes.has('ERR_DOTPOOL_WORKER_DIED'); i++) {
        // whoever died between calls comes back for the next
        while (serving.size === 0) await layer.forward(x)
        const [worker] = serving
        serving.delete(worker)
        worker.terminate()
        try {
          const y = layer.forwardSync(x)
          if (y.some((value) => value !== 512 * 127)) codes.add('wrong')
        } catch (error) {
          codes.add(error.code)
        }
        const y = await layer.forward(x.subarray(0, 512))
        if (y.some((value) => value !== 512 * 127)) codes.add('wrong')
      }
      console.log([...codes].join())
      process.exit()`,
      { env: { DOTPOOL_ISA: wasm as string } },
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^(ERR_DOTPOOL_WORKER_DIED)?\n$/)
  },
)
