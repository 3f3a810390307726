import { env, type InferenceSession } from 'onnxruntime-node'
import type { Bits } from '../../../../dist/bench/models/bits.js'
import type { Shape } from '../../../../dist/bench/runner.js'
import { timeAsync } from '../../../../dist/src/measure/samples.js'
import { BUDGET, type Contender } from '../../contender.js'
import { inTurns, rotationLength, rotationWeights } from '../../rotation.js'
import { linearsModel, operators } from './model.js'
import { createSession, matrixOf, type SessionSettings } from './session.js'

/** onnxruntime in place of single Linears of a program: each is a session of its own. */
export function runPerLinear(settings: SessionSettings, bits: Bits): Contender {
  const name = `onnxruntime, a run each${settings.spinning ? '' : ', no spinning'}`
  const sessionOf = (shape: Shape, weight: Int8Array) =>
    createSession(linearsModel(operators[bits][0], shape, [weight]), settings)
  return {
    name: 'onnxruntime-node',
    version: String(env.versions.node),
    load: async (shape, first) => {
      const sessions: InferenceSession[] = []
      for (const weight of rotationWeights(first, rotationLength(shape, bits), bits)) {
        sessions.push(await sessionOf(shape, weight))
      }
      const next = inTurns(sessions)
      return {
        take: async (rows) => {
          const x = matrixOf(rows, shape.k)
          const y = new Float32Array((rows.length / shape.k) * shape.n)
          const y0 = matrixOf(y, shape.n)
          return [
            {
              name,
              sample: () => timeAsync(() => next().run({ x }, { y0 }), BUDGET),
              lastRow: async () => {
                await sessions[0].run({ x }, { y0 })
                return y.slice(-shape.n)
              },
            },
          ]
        },
        close: async () => {
          for (const session of sessions) await session.release()
        },
      }
    },
    awaited: async (shape, rows) => {
      const session = await sessionOf(shape, new Int8Array(shape.n * shape.k).fill(1))
      const x = matrixOf(rows, shape.k)
      const y0 = matrixOf(new Float32Array((rows.length / shape.k) * shape.n), shape.n)
      return { name, run: () => session.run({ x }, { y0 }) }
    },
  }
}
