/**
 * y[n] = sum_k x[k] * w[n, k] for `count` rows n of w, the inner loop of all float maths here.
 *
 * Eight rows share each load of x, and eight independent sums keep the adder busy; sums are float64,
 * which in JavaScript costs less than rounding each to float32.
 *
 * @param x float32; x[k] lies at `xAt + k`
 * @param w float32; w[n, k] lies at `wAt + n * stride + k`
 * @param y float32; y[n] goes to `yAt + n`
 * @param depth how many k
 */
export function dotRows(
  x: Float32Array,
  xAt: number,
  w: Float32Array,
  wAt: number,
  stride: number,
  y: Float32Array,
  yAt: number,
  count: number,
  depth: number,
): void {
  let n = 0
  for (; n + 8 <= count; n += 8) {
    const w0 = wAt + n * stride
    const w1 = w0 + stride
    const w2 = w1 + stride
    const w3 = w2 + stride
    const w4 = w3 + stride
    const w5 = w4 + stride
    const w6 = w5 + stride
    const w7 = w6 + stride
    let s0 = 0
    let s1 = 0
    let s2 = 0
    let s3 = 0
    let s4 = 0
    let s5 = 0
    let s6 = 0
    let s7 = 0
    for (let k = 0; k < depth; k++) {
      const v = x[xAt + k]
      s0 += v * w[w0 + k]
      s1 += v * w[w1 + k]
      s2 += v * w[w2 + k]
      s3 += v * w[w3 + k]
      s4 += v * w[w4 + k]
      s5 += v * w[w5 + k]
      s6 += v * w[w6 + k]
      s7 += v * w[w7 + k]
    }
    const at = yAt + n
    y[at] = s0
    y[at + 1] = s1
    y[at + 2] = s2
    y[at + 3] = s3
    y[at + 4] = s4
    y[at + 5] = s5
    y[at + 6] = s6
    y[at + 7] = s7
  }
  for (; n < count; n++) {
    const row = wAt + n * stride
    let sum = 0
    for (let k = 0; k < depth; k++) sum += x[xAt + k] * w[row + k]
    y[yAt + n] = sum
  }
}
