import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { command as models } from '../../bench/peers/models/options.js'
import { command as linears } from '../../bench/peers/options.js'

/** What the command writes before it ends the process, and the code of its error. */
function run(command: Command, args: string[]): { text: string; code: string | undefined } {
  let text = ''
  const write = (more: string) => {
    text += more
  }
  command.exitOverride().configureOutput({ writeOut: write, writeErr: write })
  try {
    command.parse(args, { from: 'user' })
    return { text, code: undefined }
  } catch (error) {
    return { text, code: (error as { code?: string }).code }
  }
}

describe.each([
  ['bench:peers', linears, ['--threads', '--shape', '--rows', '--out']],
  ['bench:models', models, ['--threads', '--shape', '--prompts', '--out']],
])('%s', (name, command, flags) => {
  it('prints its options for --help', () => {
    const { text, code } = run(command, ['--help'])
    expect(code).toBe('commander.helpDisplayed')
    expect(text).toMatch(`Usage: ${name} [options]`)
    for (const flag of flags) expect(text).toContain(flag)
  })

  it.each([
    ['--frobnicate', 'commander.unknownOption'],
    ['--shape=3x5', 'commander.invalidArgument'],
    [`${flags[2]}=3`, 'commander.invalidArgument'],
  ])('refuses %s in a line', (arg, expected) => {
    const { text, code } = run(command, [arg])
    expect(code).toBe(expected)
    expect(text).toMatch(/^error: .*\n$/)
  })
})
