import { type Command, InvalidArgumentError, Option } from 'commander'
import { usableThreads } from '../cpus/usable.js'

/** Reads an option's number; what range it must lie in the library says. */
export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('Not a number.')
  return value
}

/** `--threads <n>`, the same for every command. */
export function threadsOption(): Option {
  return new Option('--threads <n>', 'worker threads')
    .argParser(number)
    .default(usableThreads(), 'all that may be used')
}

/** Reads an option that may be given again and again. */
export function collect(text: string, others: string[] = []): string[] {
  return [...others, text]
}

/** Adds options that several commands have. */
export function addOptions(command: Command, options: readonly Option[]): Command {
  for (const option of options) command.addOption(option)
  return command
}
