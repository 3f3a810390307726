import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Assembler, formatPart, parsePart, partsOf } from '#server/fleet/transport/parts.js'

it('puts messages together again that were cut into parts, however they come among each other', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 })
  const messages = fc.array(bytes, { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(
      messages,
      fc.integer({ min: 1, max: 50 }),
      fc.infiniteStream(fc.nat()),
      (all, size, turns) => {
        const queues = all.map((payload, i) => [...partsOf(payload, `m${i}`, size)])
        const assembler = new Assembler()
        const whole: [string, number[]][] = []
        while (queues.some((queue) => queue.length > 0)) {
          const waiting = queues.filter((queue) => queue.length > 0)
          const [part, piece] =
            waiting[turns.next().value % waiting.length].shift() ?? expect.fail()
          expect(piece.length).toBeLessThanOrEqual(size)
          const message = assembler.add(parsePart(formatPart(part)) ?? expect.fail(), piece)
          if (message !== undefined) whole.push([part.id, [...message]])
        }
        const expected = all.map((payload, i) => [`m${i}`, [...payload]])
        expect(whole.sort(([a], [b]) => (a < b ? -1 : 1))).toEqual(expected)
      },
    ),
  )
})

it('never takes a message for whole that lacks a part', () => {
  const payload = new Uint8Array(100).fill(1)
  for (let lost = 0; lost < 10; lost++) {
    const assembler = new Assembler()
    for (const [part, piece] of partsOf(payload, 'm', 10)) {
      if (part.index !== lost) expect(assembler.add(part, piece)).toBeUndefined()
    }
  }
})

it('forgets the oldest messages that do not become whole', () => {
  const assembler = new Assembler()
  const [first, last] = [...partsOf(new Uint8Array(2), 'm', 1)]
  assembler.add(...first)
  for (let i = 0; i < 100; i++) assembler.add({ id: `other${i}`, index: 0, count: 2 }, first[1])
  expect(assembler.add(...last)).toBeUndefined()
})
