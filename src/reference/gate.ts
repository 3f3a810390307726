import { bf16ToFloat, floatToBf16 } from '../bf16.js'
import { ArgumentError, describe } from '../errors.js'
import { type ActivationArray, newArray } from '../tensor.js'
import { viewOf } from '../views.js'
import { sigmoid } from './exp.js'

/*
 * out[k] = activation(g[k]) * u[k], between the Linears of a gated MLP. The same float32 steps
 * as native/src/kernels/float/gate.c.
 */

const { fround } = Math

/** The activation of a gate: SwiGLU, GeGLU (by tanh) or squared ReLU. */
export type Activation = 'silu' | 'gelu' | 'relu2'

const activations: Readonly<Record<Activation, (g: number) => number>> = {
  silu: (g: number) => fround(g * sigmoid(g)),
  gelu: (g: number) => {
    const cubic = fround(g + fround(fround(0.044715) * fround(fround(g * g) * g)))
    return fround(g * sigmoid(fround(fround(1.5957691216) * cubic)))
  },
  relu2: (g: number) => {
    const positive = Math.max(g, 0)
    return fround(positive * positive)
  },
}

/** @throws ArgumentError unless it names an activation */
export function checkActivation(activation: unknown): asserts activation is Activation {
  if (typeof activation !== 'string' || !Object.hasOwn(activations, activation)) {
    const names = Object.keys(activations).join(', ')
    throw new ArgumentError('activation', `one of ${names}`, describe(activation))
  }
}

/**
 * out = activation(gate) * up, element by element; for bfloat16 bits each step is rounded to bfloat16.
 * {@link FusedMlp} computes the same bits.
 *
 * @param gate float32 or bfloat16 bits, any length
 * @param up of the same type and length
 * @param out where to write; can be `gate` or `up`; a new array by default
 * @throws ArgumentError if they do not fit together
 */
export function applyGate<A extends ActivationArray>(
  activation: Activation,
  gate: A,
  up: A,
  out?: A,
): A {
  checkActivation(activation)
  const g = viewOf(Float32Array, gate) ?? viewOf(Uint16Array, gate)
  if (g === undefined) {
    throw new ArgumentError('gate', 'a Float32Array or a Uint16Array', describe(gate))
  }
  const u = readAlike('up', up, g)
  const result = out ?? (newArray<ActivationArray>(g.constructor as ArrayType, g.length) as A)
  const y = readAlike('out', result, g)
  const activate = activations[activation]
  if (g instanceof Float32Array) {
    for (let i = 0; i < g.length; i++) y[i] = activate(g[i]) * u[i]
  } else {
    for (let i = 0; i < g.length; i++) {
      const activated = bf16ToFloat(floatToBf16(activate(bf16ToFloat(g[i]))))
      y[i] = floatToBf16(fround(activated * bf16ToFloat(u[i])))
    }
  }
  return result
}

type ArrayType = typeof Float32Array | typeof Uint16Array

/** The elements of an array of the type and length of another. */
function readAlike(argument: string, array: unknown, other: ActivationArray): ActivationArray {
  const Type = other.constructor as ArrayType
  const view = viewOf<ActivationArray>(Type, array)
  if (view?.length === other.length) return view
  const expected = `a ${Type.name} of ${other.length} elements`
  throw new ArgumentError(argument, expected, describe(array))
}
