import { bf16ToFloat32 } from '../bf16.js'
import { sharedArray } from '../pool/memory.js'
import { pause, pauseDue } from './event-loop.js'

/** Elements widened at a time; the event loop may turn in between. */
const BLOCK = 1 << 20

/** The float32 values of bfloat16 bits, in shared memory. */
export async function widenBf16(bits: Uint16Array, signal?: AbortSignal): Promise<Float32Array> {
  const out = sharedArray('float32', bits.length)
  for (let at = 0; at < bits.length; at += BLOCK) {
    bf16ToFloat32(bits.subarray(at, at + BLOCK), out.subarray(at, at + BLOCK))
    if (pauseDue()) await pause(signal)
  }
  return out
}

/**
 * w[n, k] = q[n, k] * scale[n]: what int8 weights stand for, in shared memory.
 *
 * @param q int8 [N, K]
 * @param scale float32 [N]
 * @returns float32 [N, K]
 */
export async function dequantize(
  q: Int8Array,
  scale: Float32Array,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const out = sharedArray('float32', q.length)
  const K = q.length / scale.length
  for (let n = 0; n < scale.length; n++) {
    for (let i = n * K; i < (n + 1) * K; i++) out[i] = q[i] * scale[n]
    if (pauseDue()) await pause(signal)
  }
  return out
}
