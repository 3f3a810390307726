/** A number with three significant digits: `1.00`, `31.2`, `1020`. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** A duration in the unit that suits it. */
export function duration(micros: number): string {
  if (micros < 1e3) return `${digits(micros)} us`
  return micros < 1e6 ? `${digits(micros / 1e3)} ms` : `${digits(micros / 1e6)} s`
}

/** A memory size in the unit that suits it. */
export function bytes(size: number): string {
  for (const [name, unit] of Object.entries({ GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 })) {
    if (size >= unit) return `${Number(digits(size / unit))} ${name}`
  }
  return `${size} bytes`
}

/** `1 thread`, `2 threads`. */
export function count(things: number, name: string): string {
  return `${things} ${name}${things === 1 ? '' : 's'}`
}
