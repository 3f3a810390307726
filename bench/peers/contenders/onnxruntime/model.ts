import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import type { Bits } from '../../../../dist/bench/models/bits.js'
import { toNibbles } from '../../../../dist/bench/models/nibbles.js'
import type { Shape } from '../../../../dist/bench/runner.js'
import { WEIGHT_SCALE } from '../../contender.js'
import { transpose } from '../../rotation.js'

/*
 * ONNX models made in memory: parallel Linears that all take the same rows.
 */

/**
 * Operators that quantise rows and multiply them by weights, by the bits of these. onnxruntime turns the standard
 * operators DynamicQuantizeLinear, MatMulInteger, Cast and Mul into the first of these. The numbers are how many weights
 * of a channel share a scale: of 8 bits 256 are the fastest of 32 to 256.
 */
export const operators = {
  8: ['DynamicQuantizeMatMul', 'MatMulNBits, 256'],
  4: ['MatMulNBits, 32', 'MatMulNBits, 128'],
} as const satisfies Record<Bits, readonly string[]>

export type Operator = (typeof operators)[Bits][number]

/** A model and the files that it refers to. */
export interface Model {
  proto: Uint8Array
  externalData: { path: string; data: Buffer }[]
}

/** How to build a Linear. */
interface Recipe {
  weight: { type: number; dims: number[] }
  /** Converts int8 [N, K] to the layout of `weight`. */
  arrange(weight: Int8Array): Int8Array | Uint8Array
  /** Tensors that all layers share. */
  constants: object[]
  /** y = x W^T */
  nodes(w: string, y: string): object[]
}

/** TensorProto.DataType */
const Type = { float32: 1, uint8: 2, int8: 3, int64: 7 } as const

const ModelProto = protobuf
  .parse(readFileSync(new URL('onnx.proto', import.meta.url), 'utf8'))
  .root.lookupType('onnx.ModelProto')

const recipes: Record<Operator, (shape: Shape) => Recipe> = {
  DynamicQuantizeMatMul: (shape) => ({
    weight: { type: Type.int8, dims: [shape.k, shape.n] },
    arrange: (weight) => transpose(weight, shape),
    constants: [tensor('scale', Type.float32, [shape.n], scales(shape.n))],
    nodes: (w, y) => [microsoftNode('DynamicQuantizeMatMul', ['x', w, 'scale'], [y])],
  }),
  'MatMulNBits, 256': matMulNBits(8, 256),
  'MatMulNBits, 32': matMulNBits(4, 32),
  'MatMulNBits, 128': matMulNBits(4, 128),
}

function matMulNBits(bits: Bits, block: number): (shape: Shape) => Recipe {
  return ({ k, n }) => ({
    weight: { type: Type.uint8, dims: [n, k / block, (block * bits) / 8] },
    arrange: (weight) => (bits === 8 ? weight.map((value) => value ^ 0x80) : toNibbles(weight)),
    constants: [tensor('scale', Type.float32, [(n * k) / block], scales((n * k) / block))],
    nodes: (w, y) => [
      microsoftNode('MatMulNBits', ['x', w, 'scale'], [y], {
        K: k,
        N: n,
        bits,
        block_size: block,
        // int8: rows are quantised, too
        accuracy_level: 4,
      }),
    ],
  })
}

/**
 * A model of Linears that all take the input `x`. Its outputs are `y0`, float32 [M, N], of the first Linear and
 * `column<i>`, float32 [M, 1], of every other one: without an output, onnxruntime would not run it.
 *
 * @param weights int8 [N, K] of the first Linear; the order of the others' weights does not matter
 */
export function linearsModel(
  operator: Operator,
  shape: Shape,
  weights: Iterable<Int8Array>,
): Model {
  const { weight, arrange, constants, nodes } = recipes[operator](shape)
  const graph = {
    name: operator,
    node: [] as object[],
    input: [matrix('x', shape.k)],
    initializer: [...constants, ...columnConstants],
    output: [matrix('y0', shape.n)],
  }
  const externalData: Model['externalData'] = []
  for (const values of weights) {
    const layer = externalData.length
    const [w, y] = [`w${layer}`, `y${layer}`]
    const random = values.subarray(
      0,
      weight.dims.reduce((product, dim) => product * dim),
    )
    externalData.push({ path: w, data: bytesOf(layer === 0 ? arrange(values) : random) })
    graph.initializer.push(externalTensor(w, weight.type, weight.dims))
    graph.node.push(...nodes(w, y))
    if (layer > 0) {
      graph.node.push(node('Slice', [y, 'zero', 'one', 'one'], [`column${layer}`]))
      graph.output.push(matrix(`column${layer}`, 1))
    }
  }
  const opsetImport = [
    { domain: '', version: 17 },
    { domain: 'com.microsoft', version: 1 },
  ]
  const model = ModelProto.fromObject({ irVersion: 8, opsetImport, graph })
  return { proto: ModelProto.encode(model).finish(), externalData }
}

const columnConstants = [
  tensor('zero', Type.int64, [1], BigInt64Array.of(0n)),
  tensor('one', Type.int64, [1], BigInt64Array.of(1n)),
]

function node(
  opType: string,
  input: string[],
  output: string[],
  attributes: Record<string, number> = {},
): object {
  const attribute = Object.entries(attributes).map(([name, i]) => ({ name, i, type: 'INT' }))
  return { opType, input, output, attribute }
}

function microsoftNode(...args: Parameters<typeof node>): object {
  return { ...node(...args), domain: 'com.microsoft' }
}

function tensor(name: string, dataType: number, dims: number[], values: ArrayBufferView): object {
  return { name, dataType, dims, rawData: bytesOf(values) }
}

/** A tensor whose bytes are the external data of the same name. */
function externalTensor(name: string, dataType: number, dims: number[]): object {
  const externalData = [{ key: 'location', value: name }]
  return { name, dataType, dims, dataLocation: 'EXTERNAL', externalData }
}

/** float32 [M, columns] */
function matrix(name: string, columns: number): object {
  const dim = [{ dimParam: 'M' }, { dimValue: columns }]
  return { name, type: { tensorType: { elemType: Type.float32, shape: { dim } } } }
}

function scales(count: number): Float32Array {
  return new Float32Array(count).fill(WEIGHT_SCALE)
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
}
