/** Parses CPU numbers as Linux lists them: `0-2,5` is 0, 1, 2 and 5. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .filter((range) => range !== '')
    .flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    })
}

/** Formats CPU numbers as Linux lists them. */
export function formatCpuList(cpus: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const cpu of cpus.toSorted((a, b) => a - b)) {
    const range = ranges.at(-1)
    if (range !== undefined && cpu === range[1] + 1) range[1] = cpu
    else ranges.push([cpu, cpu])
  }
  return ranges.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(',')
}
