import type { DenseWeight } from '../../ops/dense-weight.js'
import type { ModelConfig } from '../config/config.js'
import type { ModelLinear } from './model-linear.js'

/** The weights of a decoder, all where workers see them. */
export interface Network {
  readonly config: ModelConfig
  /** [vocabSize, hiddenSize] */
  readonly embedding: DenseWeight
  /** float32, by name, as in `normSizes`; in shared memory. */
  readonly norms: ReadonlyMap<string, Float32Array>
  /** By name, as in `linearSpecs`. Whoever replaces one disposes of the old one. */
  readonly linears: Map<string, ModelLinear>
}
