import { placeOf } from '../model/evaluation/linear-errors.js'
import type { LinearWidth } from '../model/replace.js'

/**
 * Formats the widths of Linears for people: a row for each layer, a column for each kind, bits a weight and what four
 * bits do where that was measured; then Linears outside the layers.
 */
export function presentWidths(widths: readonly LinearWidth[]): string {
  const placed = widths.map((width) => ({ ...width, ...placeOf(width.name) }))
  const inLayers = placed.filter(({ layer }) => layer !== null)
  const kinds = [...new Set(inLayers.map(({ kind }) => kind))]
  const layers = [...new Set(inLayers.map(({ layer }) => layer))]
  const cell = (layer: number | null, kind: string) => {
    const width = placed.find((one) => one.layer === layer && one.kind === kind)
    return width === undefined ? '' : show(width)
  }
  const row = (name: string, cells: readonly string[]) =>
    name.padEnd(8) + cells.map((text) => text.padStart(14)).join('')
  return [
    'Bits a weight of each Linear, and the harm of four bits',
    row('layer', kinds),
    ...layers.map((layer) =>
      row(
        `${layer}`,
        kinds.map((kind) => cell(layer, kind)),
      ),
    ),
    ...placed.filter(({ layer }) => layer === null).map((one) => row(one.kind, [show(one)])),
  ].join('\n')
}

function show({ bits, harm }: LinearWidth): string {
  return harm === undefined ? `${bits}` : `${bits} (${harm.toExponential(1)})`
}
