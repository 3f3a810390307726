import { digits } from '../measure/quantities.js'
import type { LinearError } from '../model/evaluation/linear-errors.js'

/**
 * Formats the errors of Linears for people, in percent: a row for each layer, a column for each kind, then means, and
 * Linears outside the layers.
 */
export function presentErrors(errors: readonly LinearError[]): string {
  if (worstOf(errors).error === 0) return 'Linears          no difference'
  const kinds = [...byKind(errors)]
  const columns = kinds.filter(([, [{ layer }]]) => layer !== null)
  const others = kinds.filter(([, [{ layer }]]) => layer === null)
  const widths = columns.map(([kind]) => Math.max(kind.length, 6) + 2)
  const row = (name: string, cells: readonly string[]) =>
    name.padEnd(8) + cells.map((cell, i) => cell.padStart(widths[i])).join('')
  const layers = columns[0][1].map(({ layer }) => layer)
  return [
    'Error of each Linear on the same input, % of its output',
    row(
      'layer',
      columns.map(([kind]) => kind),
    ),
    ...layers.map((layer, i) =>
      row(
        `${layer}`,
        columns.map(([, list]) => percents(list[i].error)),
      ),
    ),
    row(
      'mean',
      columns.map(([, list]) => percents(meanOf(list))),
    ),
    ...others.map(([kind, list]) => row(kind, [percents(meanOf(list))])),
  ].join('\n')
}

/** The errors of each kind of Linear, by layer. */
export function byKind(errors: readonly LinearError[]): Map<string, LinearError[]> {
  const kinds = new Map<string, LinearError[]>()
  for (const error of errors) kinds.set(error.kind, [...(kinds.get(error.kind) ?? []), error])
  return kinds
}

/** @param errors at least one */
export function worstOf(errors: readonly LinearError[]): LinearError {
  return errors.reduce((worst, error) => (error.error > worst.error ? error : worst))
}

/** @param errors at least one */
export function meanOf(errors: readonly LinearError[]): number {
  return errors.reduce((sum, { error }) => sum + error, 0) / errors.length
}

function percents(share: number): string {
  return digits(100 * share)
}
