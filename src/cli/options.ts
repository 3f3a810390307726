import { type Command, InvalidArgumentError, Option } from 'commander'
import { usableThreads } from '../cpus/usable.js'

/** Parses a number; the library checks its range. */
export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('Not a number.')
  return value
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
