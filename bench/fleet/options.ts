import { InvalidArgumentError } from 'commander'

/** Parses a positive integer. */
export function positive(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It is a positive integer.')
}

/** Parses one of several positive numbers. */
export function addNumber(text: string, others: number[] | undefined): number[] {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value)) return [...(others ?? []), value]
  throw new InvalidArgumentError('It is a positive number.')
}
