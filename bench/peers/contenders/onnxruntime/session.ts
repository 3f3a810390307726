import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Model } from './model.js'

export interface SessionSettings {
  threads: number
  /** Whether threads of the session spin for a while before they sleep. */
  spinning: boolean
}

/** Creates a session for the model with all optimisations. */
export function createSession(model: Model, settings: SessionSettings): Promise<InferenceSession> {
  return InferenceSession.create(model.proto, {
    externalData: model.externalData,
    intraOpNumThreads: settings.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: {
      session: { intra_op: { allow_spinning: settings.spinning ? '1' : '0' } },
      // the layers take the same rows, but each must quantise them for itself
      optimization: { disable_specified_optimizers: 'CommonSubexpressionElimination' },
    },
  })
}

/** float32 [M, columns] over memory that is not copied. */
export function matrixOf(data: Float32Array, columns: number): Tensor {
  return new Tensor('float32', data, [data.length / columns, columns])
}
