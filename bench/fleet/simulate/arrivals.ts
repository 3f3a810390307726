import type { Random } from './random.js'

/** How clients come. */
export type Arrivals = 'poisson' | 'azure' | 'bursts'

/**
 * How much more, or less, than on average comes from a minute to the next: in Azure's LLM inference trace 2023 the
 * rate of a minute varies by 0.21 of its mean beyond what Poisson arrivals do (0.23 of ten seconds, 0.18 of five
 * minutes).
 */
const AZURE_VARIATION = 0.22

/** Three times the average for 15 s of each minute, a third of it in the rest. */
const BURST = { factor: 3, share: 0.25 }

/** The rate relative to the average, as a function of the time in milliseconds, that is asked for in order. */
export function rateOf(arrivals: Arrivals, random: Random): (now: number) => number {
  if (arrivals === 'poisson') return () => 1
  if (arrivals === 'bursts') {
    const rest = (1 - BURST.factor * BURST.share) / (1 - BURST.share)
    return (now) => ((now / 60_000) % 1 < BURST.share ? BURST.factor : rest)
  }
  let minute = -1
  let rate = 1
  return (now) => {
    if (Math.floor(now / 60_000) > minute) {
      minute = Math.floor(now / 60_000)
      rate = random.gamma(AZURE_VARIATION ** -2)
    }
    return rate
  }
}
