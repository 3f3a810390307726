import { seededRandom } from '../../../dist/src/model/generation/random.js'

/** Random numbers of several distributions, the same for the same seed. */
export class Random {
  /** Uniform in [0, 1). */
  readonly uniform: () => number

  constructor(seed: number) {
    this.uniform = seededRandom(seed)
  }

  /** An integer from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.uniform() * count)
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.uniform()) * mean
  }

  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    return radius * Math.cos(2 * Math.PI * this.uniform())
  }

  /** Of a quantity whose logarithm is normal. */
  logNormal(mu: number, sigma: number): number {
    return Math.exp(mu + sigma * this.normal())
  }

  /** Of mean 1, by Marsaglia and Tsang (2000); `shape` is at least 1. */
  gamma(shape: number): number {
    const d = shape - 1 / 3
    for (;;) {
      const x = this.normal()
      const v = (1 + x / Math.sqrt(9 * d)) ** 3
      if (v <= 0) continue
      if (Math.log(1 - this.uniform()) < x * x * 0.5 + d * (1 - v + Math.log(v))) {
        return (d * v) / shape
      }
    }
  }

  /** A rank from 0 to `count` - 1, whose probability falls as 1 / (rank + 1). */
  zipf(count: number): number {
    // by inversion of the continuous law, which is close
    return Math.min(Math.floor((count + 1) ** this.uniform()) - 1, count - 1)
  }
}
