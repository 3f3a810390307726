import type { Comparison } from '../model/evaluation/compare.js'

/** Formats a comparison for people: both models side by side, then the distance between them. */
export function presentComparison({ tokens, kl, sameBest, model, reference }: Comparison): string {
  const spread = Object.entries(kl).map(([name, nats]) => `${name} ${nats.toPrecision(3)}`)
  return [
    row(['', 'model', 'reference', 'change']),
    row(['nll', model.nll.toFixed(4), reference.nll.toFixed(4), change(model.nll, reference.nll)]),
    row([
      'perplexity',
      model.perplexity.toFixed(3),
      reference.perplexity.toFixed(3),
      change(model.perplexity, reference.perplexity),
    ]),
    '',
    `KL divergence    ${spread.join(', ')} nats`,
    `same best token  ${(100 * sameBest).toFixed(1)} % of ${tokens}`,
  ].join('\n')
}

function row([name, ...cells]: string[]): string {
  return `${name.padEnd(14)}${cells.map((cell) => cell.padStart(12)).join('')}`.trimEnd()
}

/** The relative change of a number from the reference. */
function change(value: number, reference: number): string {
  const percent = 100 * (value / reference - 1)
  return `${percent < 0 ? '' : '+'}${percent.toFixed(3)} %`
}
