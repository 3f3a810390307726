import { fileURLToPath } from 'node:url'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import {
  matMul,
  ready,
  setBackend,
  type Tensor2D,
  tensor2d,
  version_core as version,
} from '@tensorflow/tfjs-core'
import { ROTATION_BYTES } from '../../../dist/bench/runner.js'
import { timeSync } from '../../../dist/src/measure/samples.js'
import { BUDGET, type Contender, WEIGHT_SCALE } from '../contender.js'
import { inTurns, rotationWeights, transpose } from '../rotation.js'

/** TensorFlow.js in WebAssembly: float32 and a single thread, the only ones that it offers in Node.js. */
export async function tfjs(): Promise<Contender> {
  setWasmPaths(fileURLToPath(new URL('.', import.meta.resolve('@tensorflow/tfjs-backend-wasm'))))
  await setBackend('wasm')
  await ready()
  return {
    name: 'tfjs-backend-wasm',
    version,
    load: async (shape, first) => {
      const { k, n } = shape
      // float32, and packed once more, they fill the 2 GiB that it can address
      const count = Math.ceil(ROTATION_BYTES / (2 * k * n * Float32Array.BYTES_PER_ELEMENT))
      const weights: Tensor2D[] = []
      for (const values of rotationWeights(first, count, 8)) {
        const inOrder = weights.length === 0 ? transpose(values, shape) : values
        weights.push(
          tensor2d(
            Float32Array.from(inOrder, (value) => value * WEIGHT_SCALE),
            [k, n],
          ),
        )
      }
      const next = inTurns(weights)
      return {
        take: async (rows) => {
          const x = tensor2d(rows, [rows.length / k, k])
          const multiply = (weight: Tensor2D) => {
            const y = matMul(x, weight)
            const values = y.dataSync<'float32'>()
            y.dispose()
            return values
          }
          // it packs weights at their first use
          for (const weight of weights) multiply(weight)
          return [
            {
              name: 'tfjs wasm, float32, one thread',
              sample: async () => timeSync(() => multiply(next()), BUDGET),
              lastRow: async () => multiply(weights[0]).slice(-n),
            },
          ]
        },
        close: async () => {
          for (const weight of weights) weight.dispose()
        },
      }
    },
  }
}
