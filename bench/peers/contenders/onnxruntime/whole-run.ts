import { env, type InferenceSession } from 'onnxruntime-node'
import type { Bits } from '../../../../dist/bench/models/bits.js'
import { timeAsync } from '../../../../dist/src/measure/samples.js'
import { BUDGET, type Contender } from '../../contender.js'
import { rotationLength, rotationWeights } from '../../rotation.js'
import { linearsModel, type Operator, operators } from './model.js'
import { createSession, matrixOf } from './session.js'

/** Enough to tell the operators' speeds apart. */
const TRIAL = { millis: 0, calls: 3 }

/** onnxruntime at its best: all layers in one `session.run`, by the fastest operator for the shape and the rows. */
export function wholeRun(threads: number, bits: Bits): Contender {
  return {
    name: 'onnxruntime-node',
    version: String(env.versions.node),
    load: async (shape, first) => {
      const layers = rotationLength(shape, bits)
      const sessions: { operator: Operator; session: InferenceSession }[] = []
      for (const operator of operators[bits]) {
        const model = linearsModel(operator, shape, rotationWeights(first, layers, bits))
        const session = await createSession(model, { threads, spinning: true })
        sessions.push({ operator, session })
      }
      return {
        take: async (rows) => {
          const x = matrixOf(rows, shape.k)
          // it runs every layer, whichever results are fetched
          const runOf = (session: InferenceSession) => () =>
            session.run({ x }, [`column${layers - 1}`])
          const trials: number[] = []
          for (const { session } of sessions) {
            trials.push(Math.min(...(await timeAsync(runOf(session), TRIAL))))
          }
          const { operator, session } = sessions[trials.indexOf(Math.min(...trials))]
          const run = runOf(session)
          return [
            {
              name: 'onnxruntime, all in one run',
              operator,
              sample: async () => (await timeAsync(run, BUDGET)).map((micros) => micros / layers),
              lastRow: async () => {
                const { y0 } = await session.run({ x }, ['y0'])
                return (y0.data as Float32Array).slice(-shape.n)
              },
            },
          ]
        },
        close: async () => {
          for (const { session } of sessions) await session.release()
        },
      }
    },
  }
}
