import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readLines } from '#server/batches/input-lines.js'
import { beginBatch, toInProgress } from '#server/batches/lifecycle.js'
import type { BatchLine } from '#server/batches/line.js'
import { NatsStore } from '#server/batches/nats/nats-store.js'
import { answered } from '#server/batches/result.js'
import type { BatchStore, LineOutcome } from '#server/batches/store.js'
import { FolderStore } from '#server/index.js'
import { hasNats, NatsServer, tellWithoutNats } from './fleet/nats-server.js'

/** Stores of one kind: each that is opened at the same place finds what the one before has kept. */
interface Kind {
  open(place: string): Promise<BatchStore>
  close(): Promise<void>
}

async function folders(): Promise<Kind> {
  const root = await mkdtemp(join(tmpdir(), 'dotpool-'))
  return {
    open: async (place) => await FolderStore.open(join(root, place)),
    close: async () => await rm(root, { recursive: true }),
  }
}

async function nats(): Promise<Kind> {
  const server = await NatsServer.start()
  const connections: NatsConnection[] = []
  return {
    async open(place) {
      const connection = await connect({ servers: server.url })
      connections.push(connection)
      return await NatsStore.open(connection, place)
    },
    async close() {
      for (const connection of connections) await connection.close()
      await server.stop()
    },
  }
}

const kinds: [name: string, make: () => Promise<Kind>][] = [['a folder', folders]]
if (hasNats) kinds.push(['NATS', nats])
tellWithoutNats()

const patient = { timeout: 60_000 }

const MODEL = 'a model: 1.5'

function toLine(number: number, body: object = { prompt: `${number}` }): BatchLine {
  const customId = `request ${number}`
  return { number, offset: 0, bytes: 0, customId, endpoint: '/v1/completions', model: MODEL, body }
}

const result = (text: string) => answered(text, { statusCode: 200, requestId: 'a', body: { text } })

async function* each<Item>(items: Iterable<Item>): AsyncGenerator<Item, void, void> {
  yield* items
}

async function text(content: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of content) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

const description = (id: string) => ({
  ...{ id, object: 'file' as const, created_at: 1, filename: 'a.jsonl' },
  ...{ purpose: 'batch' as const, status: 'processed' as const },
})

/** A batch that runs, with its file. */
async function begin(store: BatchStore, lines: readonly BatchLine[]) {
  const file = `file-${randomUUID()}`
  const texts = lines.map(({ body }) => `${JSON.stringify({ body })}\n`)
  await store.files.put(description(file), each([Buffer.from(texts.join(''))]))
  const fields = { input_file_id: file, endpoint: '/v1/completions', completion_window: '24h' }
  const batch = toInProgress(beginBatch(fields as Parameters<typeof beginBatch>[0]), lines.length)
  await store.batches.create(batch)
  let offset = 0
  const placed = lines.map((line, i) => {
    const bytes = Buffer.byteLength(texts[i]) - 1
    const place = { offset, bytes }
    offset += bytes + 1
    return { ...line, ...place }
  })
  return { batch, lines: placed }
}

describe.each(kinds)('batches in %s', (_, make) => {
  let kind: Kind
  let place: string
  beforeAll(async () => {
    kind = await make()
  })
  afterAll(async () => await kind.close())
  const open = async () => {
    place = randomUUID()
    return await kind.open(place)
  }
  const never = new AbortController().signal

  it('have files, each as a whole or not at all', async () => {
    await using store = await open()
    const large = Buffer.alloc(1 << 20, 'abc')
    await store.files.put(description('file-1'), each([large, large]))
    await store.files.put(description('file-2'), each([]))
    async function* failing() {
      yield large
      throw new Error('the client has left')
    }
    await expect(store.files.put(description('file-3'), failing())).rejects.toThrow('has left')
    const files = await store.files.list()
    expect(files.map(({ id, bytes }) => [id, bytes]).sort()).toEqual([
      ['file-1', 2 << 20],
      ['file-2', 0],
    ])
    expect(await text(store.files.read('file-1'))).toBe(`${large}${large}`)
    expect(await text(store.files.read('file-2'))).toBe('')
    await store.files.put(description('file-1'), each([Buffer.from('new')]))
    expect(await text(store.files.read('file-1'))).toBe('new')
    await store.files.delete('file-1')
    await store.files.delete('file-1')
    expect(await store.files.get('file-1')).toBeUndefined()
    await expect(text(store.files.read('file-1'))).rejects.toThrow('there is no file file-1')
    expect(await store.files.get('../lock')).toBeUndefined()
  })

  it('are changed one after the other, and watched', async () => {
    await using store = await open()
    const { batch } = await begin(store, [toLine(1)])
    const watching = new AbortController()
    const seen: number[] = []
    const watched = (async () => {
      for await (const { request_counts: counts } of store.batches.changes(watching.signal)) {
        seen.push(counts.completed)
        if (counts.completed === 20) return
      }
    })()
    const count = async () =>
      await store.batches.update(batch.id, (now) => {
        const { total, completed, failed } = now.request_counts
        return { ...now, request_counts: { total, completed: completed + 1, failed } }
      })
    await Promise.all(Array.from({ length: 20 }, count))
    await watched
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect((await store.batches.get(batch.id))?.request_counts.completed).toBe(20)
    expect(await store.batches.list()).toHaveLength(1)
    expect(await store.batches.update('batch_0', (now) => now)).toBeUndefined()
    expect(await store.batches.get('../batch_0')).toBeUndefined()
  })

  it('hand out each line once, again where it is released, and keep the first result', async () => {
    await using store = await open()
    const { batch, lines } = await begin(
      store,
      [1, 2, 3].map((i) => toLine(i)),
    )
    await store.queue.add(batch, each(lines))
    const first = await store.queue.take(MODEL, never)
    const second = await store.queue.take(MODEL, never)
    expect([first.line, second.line]).toEqual([lines[0], lines[1]])
    await first.release()
    const third = await store.queue.take(MODEL, never)
    const fourth = await store.queue.take(MODEL, never)
    expect([third.line.number, fourth.line.number].sort()).toEqual([1, 3])
    for (const task of [second, third, fourth]) await task.finish(result(`${task.line.number}`))
    await second.finish(result('another'))
    const watching = new AbortController()
    const outcomes: LineOutcome[] = []
    for await (const outcome of store.results.watch(batch.id, watching.signal)) {
      outcomes.push(outcome)
      if (outcomes.length === 3) break
    }
    expect(outcomes.map(({ line }) => line).sort()).toEqual([1, 2, 3])
    expect((await store.results.get(batch.id, 2))?.custom_id).toBe('2')
    expect(await store.results.get(batch.id, 4)).toBeUndefined()
    const stopping = new AbortController()
    const waiting = store.queue.take(MODEL, stopping.signal)
    stopping.abort()
    await expect(waiting).rejects.toThrow()
    await store.results.delete(batch.id)
    expect(await store.results.get(batch.id, 2)).toBeUndefined()
  })

  it('take back what is withdrawn, and tell who runs it', async () => {
    await using store = await open()
    const { batch, lines } = await begin(store, [toLine(1), toLine(2)])
    await store.queue.add(batch, each(lines))
    const task = await store.queue.take(MODEL, never)
    await store.queue.withdraw(batch.id)
    await expect.poll(() => task.signal.aborted, patient).toBe(true)
    await task.finish(result('late'))
    expect(await store.results.get(batch.id, 1)).toBeUndefined()
    const { batch: next, lines: others } = await begin(store, [toLine(7)])
    await store.queue.add(next, each(others))
    expect((await store.queue.take(MODEL, never)).batchId).toBe(next.id)
  })

  it('are there again when it is opened anew, without the lines that have a result', async () => {
    const before = await open()
    const { batch, lines } = await begin(
      before,
      [1, 2, 3].map((i) => toLine(i)),
    )
    await before.queue.add(batch, each(lines))
    const task = await before.queue.take(MODEL, never)
    await task.finish(result('first'))
    await before[Symbol.asyncDispose]()
    await using after = await kind.open(place)
    expect((await after.batches.list()).map(({ id }) => id)).toEqual([batch.id])
    expect(await after.files.list()).toHaveLength(1)
    await after.queue.add(batch, each(lines))
    const tasks = [await after.queue.take(MODEL, never), await after.queue.take(MODEL, never)]
    expect(tasks.map(({ line }) => line.number)).toEqual([2, 3])
    expect((await after.results.get(batch.id, 1))?.custom_id).toBe('first')
  })

  it('carry requests and results of megabytes', async () => {
    await using store = await open()
    const prompt = 'A long text. '.repeat(200_000)
    const { batch, lines } = await begin(store, [toLine(1, { prompt })])
    await store.queue.add(batch, each(lines))
    const task = await store.queue.take(MODEL, never)
    expect(task.line.body).toEqual({ prompt })
    await task.finish(result(prompt))
    expect((await store.results.get(batch.id, 1))?.response?.body).toEqual({ text: prompt })
    await store.results.delete(batch.id)
  })
})

describe.runIf(hasNats)('a line in NATS', () => {
  it('that comes again after its result was kept is not run again', async () => {
    await using server = await NatsServer.start()
    const connection = await connect({ servers: server.url })
    await using store = await NatsStore.open(connection, 'a')
    const numbers = Array.from({ length: 100 }, (_, i) => i + 1)
    const { batch, lines } = await begin(
      store,
      numbers.map((i) => toLine(i)),
    )
    await store.queue.add(batch, each(lines))
    // whoever queued them has died before it knew, and another does it again
    await store.queue.add(batch, each(lines))
    const task = await store.queue.take(MODEL, new AbortController().signal)
    // its worker dies between the result and the acknowledgement
    await store.results.put(batch.id, task.line.number, result('first'))
    await task.release()
    const taken: number[] = []
    for (let i = 1; i < numbers.length; i++) {
      const next = await store.queue.take(MODEL, new AbortController().signal)
      taken.push(next.line.number)
      await next.finish(result(`${next.line.number}`))
    }
    expect(taken).toEqual(numbers.slice(1))
    const nothing = store.queue.take(MODEL, AbortSignal.timeout(50))
    await expect(nothing).rejects.toThrow()
    expect((await store.results.get(batch.id, 1))?.custom_id).toBe('first')
    await connection.close()
  })

  it('is run though a server that was killed after a purge has lost its place', async () => {
    await using server = await NatsServer.start()
    const connection = await connect({ servers: server.url, reconnectTimeWait: 20 })
    const reconnected = (async () => {
      for await (const { type } of connection.status()) if (type === 'reconnect') return
    })()
    await using store = await NatsStore.open(connection, 'a')
    const run = async (lines: readonly BatchLine[]) => {
      const { batch } = await begin(store, lines)
      await store.queue.add(batch, each(lines))
      const taken = new Set<string>()
      while (taken.size < lines.length) {
        const task = await store.queue.take(MODEL, AbortSignal.timeout(30_000))
        await task.finish(result('done'))
        taken.add(`${task.batchId} ${task.line.number}`)
      }
      expect(taken).toEqual(new Set(lines.map(({ number }) => `${batch.id} ${number}`)))
    }
    const some = Array.from({ length: 30 }, (_, i) => toLine(i + 1))
    await run(some)
    const withdrawn = await begin(store, some)
    await store.queue.add(withdrawn.batch, each(some))
    await store.queue.withdraw(withdrawn.batch.id)
    // so long may the place of a consumer be in the server's memory only
    await setTimeout(500)
    await server.kill()
    await server.start()
    await reconnected
    await run(some)
    await connection.close()
  })
})

describe('the lines of a file', () => {
  it('are those of its text, whatever pieces it comes in', async () => {
    const piece = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('\n', '\r\n', '\n\n'))
    await fc.assert(
      fc.asyncProperty(fc.array(piece), fc.integer({ min: 1, max: 7 }), async (pieces, size) => {
        const bytes = Buffer.from(pieces.join(''))
        const parts: Uint8Array[] = []
        for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size))
        const found: string[] = []
        for await (const line of readLines(each(parts), 1000)) {
          expect(bytes.subarray(line.offset, line.offset + line.bytes).toString()).toContain(
            line.text,
          )
          found[line.number - 1] = line.text ?? ''
        }
        const expected = bytes.toString().split('\n')
        for (const [i, one] of expected.entries()) {
          if (one.trim() !== '') expect(found[i]).toBe(i === 0 ? one.replace(/^\uFEFF/, '') : one)
          else expect(found[i]).toBeUndefined()
        }
      }),
    )
  })

  it('are told to be too long, or no text, without being kept', async () => {
    const lines = readLines(each([Buffer.from('ab\nabcd\n'), Buffer.from([0xff, 0x0a])]), 3)
    const all = []
    for await (const { number, text, problem } of lines) all.push([number, text, problem])
    expect(all).toEqual([
      [1, 'ab', undefined],
      [2, undefined, 'The line has 4 bytes; 3 are the most.'],
      [3, undefined, 'The line is not UTF-8.'],
    ])
  })
})
