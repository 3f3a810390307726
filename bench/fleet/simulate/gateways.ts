/** How many gateways a fleet has, unless another number is asked for. */
export function usualGateways(workers: number): number {
  if (workers < 100) return 2
  return workers < 1000 ? 4 : 8
}
