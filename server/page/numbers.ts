const threeDigits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

/** A number with three digits: `1020`, `31.2`. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : threeDigits.format(value)
}

/** A duration: `85 ms`, `1.3 s`. */
export function seconds(millis: number): string {
  return millis < 1000 ? `${Math.round(millis)} ms` : `${digits(millis / 1000)} s`
}

/** A fraction: `37 %`. */
export function percent(fraction: number): string {
  return `${digits(fraction * 100)} %`
}
