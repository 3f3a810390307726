import { createInterface, type Interface } from 'node:readline/promises'
import { styleText } from 'node:util'
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import type { Model } from '../model/model.js'
import { Pool } from '../pool/pool.js'
import { Conversation } from './conversation.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { type ModelFlags, modelOption, runOptions, toLoadOptions } from './model-options.js'
import { addOptions, number } from './options.js'
import { reportError } from './report-error.js'
import { type TextFlags, textOptions, toGenerateOptions } from './text-options.js'

interface ChatFlags extends ModelFlags, TextFlags {
  system?: string
}

const HELP = '/reset starts over, Ctrl-C stops an answer, Ctrl-D quits'

export const chatCommand = new Command('chat')
  .description('chat with a language model, in the terminal or with a line per turn from a pipe')
  .addOption(modelOption().makeOptionMandatory())
  .option('--system <text>', 'the system message')
  .option('--max-tokens <n>', 'the most tokens of an answer (default: the whole context)', number)
  .action(async (flags: ChatFlags) => {
    await using pool = await Pool.create({ threads: flags.threads })
    using model = await interruptible((signal) =>
      loadModel(pool, flags.model, { ...toLoadOptions(flags), signal }),
    )
    if (model === undefined) return
    checkTemplate(model, flags.model)
    const { maxTokens = model.maxContext } = flags
    const options = { ...toGenerateOptions(flags), maxTokens }
    const conversation = await Conversation.begin(model, flags.system, options)
    remark(`${model}. ${HELP}.`)
    await converse(conversation)
  })

addOptions(chatCommand, [...textOptions(), ...runOptions()])

function checkTemplate(model: Model, path: string): void {
  if (model.chatTemplate.exists) return
  const expected = 'a checkpoint with a chat template (`dotpool generate` works without one)'
  throw new ArgumentError('model', expected, `none in ${path}`)
}

/** Answers line after line, until there are no more or the user quits. */
async function converse(conversation: Conversation): Promise<void> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY
  const output = isTerminal ? process.stdout : undefined
  const lines = createInterface({ input: process.stdin, output, prompt: '> ' })
  // readline receives Ctrl-C as a key from the terminal
  lines.on('SIGINT', () => {
    const stopsAnAnswer = process.emit('SIGINT')
    if (!stopsAnAnswer) lines.close()
  })
  for await (const line of promptedLines(lines)) await takeTurn(conversation, line)
  output?.write('\n')
}

/** Yields lines. Without an output the prompt is not shown. */
async function* promptedLines(lines: Interface): AsyncGenerator<string, void, void> {
  let isOpen = true
  lines.once('close', () => {
    isOpen = false
  })
  lines.prompt()
  for await (const line of lines) {
    yield line
    if (isOpen) lines.prompt()
  }
}

async function takeTurn(conversation: Conversation, line: string): Promise<void> {
  if (line.trim() === '') return
  if (line.trim() === '/reset') return conversation.reset()
  try {
    const stopwatch = await conversation.answer(line)
    remark(stopwatch.summary())
  } catch (error) {
    reportError(error)
  }
}

/** Prints to the user at a terminal what is not part of the conversation. */
function remark(text: string): void {
  if (process.stderr.isTTY) console.error(styleText('dim', text))
}
