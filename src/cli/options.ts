import { type Command, InvalidArgumentError, Option } from 'commander'
import { usableThreads } from '../cpus/usable.js'

/** Parses a number; the library checks its range. */
export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('Not a number.')
  return value
}

const units = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }

/** Parses a number of bytes, such as `512m` or `8g`; the library checks its range. */
export function byteCount(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([kmgt]?)$/i.exec(text.trim()) ?? []
  if (digits === undefined) {
    throw new InvalidArgumentError('Not a number of bytes, such as 1048576, 512m or 8g.')
  }
  return Math.floor(Number(digits) * units[unit.toLowerCase() as keyof typeof units])
}

/** Parses JSON; the library checks what it is. */
export function json<Value>(text: string): Value {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidArgumentError(`Not JSON: ${(error as Error).message}.`)
  }
}

/** `--threads <n>`, the same for every command. */
export function threadsOption(): Option {
  return new Option('--threads <n>', 'worker threads')
    .argParser(number)
    .default(usableThreads(), 'all available')
}

/** Collects the values of an option that can be repeated. */
export function collect(text: string, others: string[] = []): string[] {
  return [...others, text]
}

/** Adds options that several commands share. */
export function addOptions(command: Command, options: readonly Option[]): Command {
  for (const option of options) command.addOption(option)
  return command
}
