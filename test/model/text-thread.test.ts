import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  ArgumentError,
  DeadlineError,
  DisposedError,
  FormatError,
  PoolClosedError,
} from '#src/errors.js'
import { Model } from '#src/model/model.js'
import { ChatTemplate } from '#src/model/text/chat-template.js'
import type { TextRequest } from '#src/model/text/thread/service.js'
import type { TextSource } from '#src/model/text/thread/text-source.js'
import { TextThread } from '#src/model/text/thread/text-thread.js'
import { Pool } from '#src/pool/pool.js'
import { runScript } from '../support/child.js'
import { errorOf } from '../support/threads.js'
import { expectFormatError, fixture } from './support.js'
import { parseTokenizer, textSource } from './texts.js'
import { llama3 } from './tokenizers.js'

const workerUrl = new URL('../../dist/src/model/text/thread/text-worker.js', import.meta.url)

/** Never ends in practice for a text such as `endless`. */
const backtracking = {
  ...llama3,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
}
const endless = `${'a'.repeat(60)}b`

const loops = '{% for i in list %}'.repeat(5) + '{% endfor %}'.repeat(5)
const template = `{% if messages[0].content == 'loop' %}${loops}{% endif %}{{ messages[0].content }}`

const encode = (text: string): TextRequest<'encode'> => ({
  kind: 'encode',
  text,
  addSpecialTokens: false,
})
const render = (content: string): TextRequest<'render'> => ({
  kind: 'render',
  messages: [{ role: 'user', content }],
  addGenerationPrompt: true,
  tools: null,
  variables: { list: new Array(1000).fill(null) },
})

/** A thread with a deadline that ends endless work soon, but not work that is slow on a busy machine. */
function impatientThread(
  source: TextSource = textSource({ tokenizer: backtracking, template }),
): TextThread {
  const thread = new TextThread(workerUrl, source, 1000)
  onTestFinished(() => thread.end(new DisposedError('the test')))
  return thread
}

const hey = Uint32Array.from(
  parseTokenizer(backtracking).encode('hey', { addSpecialTokens: false }),
)

describe('a text thread', () => {
  it('gives the tokens and the text that the same work gives in this thread, awaited or not', async () => {
    const thread = new TextThread(workerUrl, textSource({ tokenizer: backtracking, template }))
    onTestFinished(() => thread.end(new DisposedError('the test')))
    expect(await thread.call(encode('hey'))).toEqual(hey)
    expect(thread.callSync(encode('hey'))).toEqual(hey)
    const waiting = [thread.call(render('a')), thread.call(encode('hey')), thread.call(render('b'))]
    expect(thread.callSync(render('first'))).toBe('first')
    expect(await Promise.all(waiting)).toEqual(['a', hey, 'b'])
  })

  it('ends a pattern or a template that never ends, and no other call', async () => {
    const thread = impatientThread()
    let turns = 0
    const turning = setInterval(() => turns++, 1)
    onTestFinished(() => clearInterval(turning))
    const results = await Promise.allSettled([
      thread.call(encode(endless)),
      thread.call(render('loop')),
      thread.call(encode('hey')),
    ])
    expect(turns).toBeGreaterThan(5)
    const [tokens, text, other] = results.map((result) =>
      result.status === 'rejected' ? result.reason : result.value,
    )
    expect(tokens).toBeInstanceOf(DeadlineError)
    expect(tokens.message).toMatch(/^tokenizer\.json: tokenising .* give token ids/)
    expect(text).toBeInstanceOf(DeadlineError)
    expect(text.message).toMatch(/^chat_template\.jinja: .* give the prompt as text/)
    expect(other).toEqual(hey)
  })

  it('ends endless work for a caller that blocks, too', () => {
    const thread = impatientThread()
    expect(() => thread.callSync(encode(endless))).toThrow(DeadlineError)
    expect(thread.callSync(encode('hey'))).toEqual(hey)
  })

  it('throws the errors that the work throws in this thread', async () => {
    const thread = impatientThread(
      textSource({ tokenizer: llama3, template: "{{ raise_exception('no') }}" }),
    )
    const refusal = await thread.call(render('x')).catch((error) => error)
    expect(refusal).toBeInstanceOf(ArgumentError)
    expect(refusal.message).toBe(
      'messages: expected what the template in chat_template.jinja accepts, got no',
    )
    const broken = new TextThread(workerUrl, textSource({ tokenizer: { ...llama3, decoder: 7 } }))
    for (const call of [broken.call(encode('a')), broken.call(encode('b'))]) {
      await expect(call).rejects.toThrow(FormatError)
      await expect(call).rejects.toMatchObject({
        file: 'tokenizer.json',
        problem: 'decoder is not an object',
        message: 'tokenizer.json: decoder is not an object',
      })
    }
  })

  it('rejects with the reason of a signal at once, and continues', async () => {
    const thread = impatientThread()
    const controller = new AbortController()
    const calls = ['hey', 'hey'].map((text) => thread.call(encode(text), controller.signal))
    controller.abort(new Error('enough'))
    for (const call of calls) await expect(call).rejects.toThrow('enough')
    await expect(thread.call(encode('hey'), controller.signal)).rejects.toThrow('enough')
    expect(await thread.call(encode('hey'))).toEqual(hey)
  })

  it('rejects waiting calls when it ends, and still serves later calls', async () => {
    const thread = impatientThread()
    const waiting = [thread.call(encode(endless)), thread.call(encode('hey'))]
    thread.end(new DisposedError('it'))
    for (const call of waiting) await expect(call).rejects.toThrow(DisposedError)
    expect(await thread.call(encode('hey'))).toEqual(hey)
    expect(thread.callSync(encode('hey'))).toEqual(hey)
  })
})

it('a process ends when its work is done, whatever its text threads do', async () => {
  const open = (rest: string) =>
    runScript(`
      import { Checkpoint } from 'dotpool'
      const checkpoint = await Checkpoint.open(${JSON.stringify(fixture)})
      ${rest}
    `)
  const idle = await open("console.log((await checkpoint.tokenizer.encodeAsync('O')).length)")
  expect(idle).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  const busy = await open("checkpoint.tokenizer.encodeAsync('O '.repeat(1e6)); process.exit(3)")
  expect(busy).toEqual({ code: 3, stdout: '', stderr: '' })
})

it('a thread ends with its last possible caller', async () => {
  const { code, stdout } = await runScript(
    `
      import { Worker } from 'node:worker_threads'
      import { setImmediate } from 'node:timers/promises'
      import { Checkpoint } from 'dotpool'
      let ended = 0
      const { terminate } = Worker.prototype
      Worker.prototype.terminate = function () {
        ended++
        return terminate.call(this)
      }
      const use = async () => {
        const checkpoint = await Checkpoint.open(${JSON.stringify(fixture)})
        await checkpoint.tokenizer.encodeAsync('O')
      }
      process.on('warning', () => {}) // its file was left open, too
      await use()
      while (ended === 0) {
        await setImmediate()
        gc()
      }
      console.log(ended)
    `,
    { flags: ['--expose-gc'] },
  )
  expect(stdout).toBe('1\n')
  expect(code).toBe(0)
})

describe('a model', () => {
  let pool: Pool | undefined
  afterAll(() => pool?.close())
  const openPool = async () => {
    pool ??= await Pool.create({ threads: 2 })
    return pool
  }

  it('loads and tokenises without parsing the vocabulary on the event loop', async () => {
    const { length } = readFileSync(join(fixture, 'tokenizer.json'))
    const parse = vi.spyOn(JSON, 'parse')
    const split = vi.spyOn(String.prototype, 'match')
    onTestFinished(() => {
      vi.restoreAllMocks()
    })
    using model = await Model.load(await openPool(), fixture)
    const tokens = await model.tokenizer.encodeAsync('ROMEO:')
    const longest = Math.max(...parse.mock.calls.map(([text]) => text.length))
    expect(longest).toBeLessThan(length / 4)
    expect(split.mock.contexts.filter((text) => String(text).includes('ROMEO'))).toEqual([])
    expect(model.tokenizer.decode(tokens)).toBe('ROMEO:')
  })

  it('refuses a text that is too long by its length alone, at once', async () => {
    using model = await Model.load(await openPool(), fixture)
    const message = /prompt: expected at most \d+ tokens, .* got at least \d+/
    expect(() => model.generate('a'.repeat(1e6))).toThrow(message)
  })

  it('renders the messages that it had at the call', async () => {
    const thread = impatientThread()
    const messages = [{ role: 'user' as const, content: 'before' }]
    const template = new ChatTemplate(thread, 'chat_template.jinja')
    const rendering = template.renderAsync(messages)
    messages[0].content = 'after'
    expect(await rendering).toBe('before')
    const call = () => template.renderAsync(messages, { templateOptions: { now: () => 1 } })
    expect(call).toThrow(/templateOptions\.now: expected a JSON value/)
  })

  it('loses its thread with its pool, which rejects waiting texts', async () => {
    const own = await Pool.create({ threads: 1 })
    const threads: Worker[] = []
    const add = (worker: Worker) => threads.push(worker)
    process.on('worker', add)
    onTestFinished(() => void process.off('worker', add))
    const model = await Model.load(own, fixture)
    const encoding = errorOf(model.tokenizer.encodeAsync('O '.repeat(10_000)))
    await own.close()
    // a thread that has ended has no number
    expect(threads.map(({ threadId }) => threadId)).toEqual([-1])
    expect(await encoding).toBeInstanceOf(PoolClosedError)
    // what needs no pool still works
    expect(await model.tokenizer.encodeAsync('O')).toHaveLength(1)
    await expect(model.logits([1])).rejects.toThrow(PoolClosedError)
  })

  it('rejects waiting texts when it is disposed of', async () => {
    const model = await Model.load(await openPool(), fixture)
    const encoding = model.tokenizer.encodeAsync('O '.repeat(10_000))
    model.dispose()
    await expect(encoding).rejects.toThrow(DisposedError)
    await setImmediate()
    expect(model.tokenizer.encode('O')).toHaveLength(1)
  })
})

it('names a template that writes without bound', async () => {
  const source = textSource({
    template: `{% for i in range(100000) %}${'a'.repeat(1000)}{% endfor %}`,
  })
  const thread = new TextThread(workerUrl, source)
  onTestFinished(() => thread.end(new DisposedError('the test')))
  const message = /the chat template fails: it writes more than 16777216 characters/
  await expectFormatError(thread.call(render('x')), message)
})

it('names a template whose ranges are too long', async () => {
  const source = textSource({ template: '{% for i in range(1000000000) %}{% endfor %}' })
  const thread = new TextThread(workerUrl, source)
  onTestFinished(() => thread.end(new DisposedError('the test')))
  const message = /the chat template fails: range\(\) of 1000000000 elements, more than 100000/
  await expectFormatError(thread.call(render('x')), message)
})
