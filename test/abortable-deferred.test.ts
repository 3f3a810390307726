import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { AbortableDeferred } from '#src/abort.js'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

it('settles by whatever comes first, and stops listening to its signal', async () => {
  const events = fc.array(fc.constantFrom('resolve', 'reject', 'abort'), {
    minLength: 1,
    maxLength: 4,
  })
  await fc.assert(
    fc.asyncProperty(events, async (events) => {
      const controller = new AbortController()
      const onAbort = vi.fn()
      const deferred = new AbortableDeferred<string>(controller.signal, onAbort)
      const settled = deferred.promise.catch((error: unknown) => error)
      const returned = events.map((event) => {
        if (event === 'abort') return controller.abort('abort')
        return event === 'resolve' ? deferred.resolve(event) : deferred.reject(event)
      })
      expect(await settled).toBe(events[0])
      expect(deferred.isSettled).toBe(true)
      expect(onAbort).toHaveBeenCalledTimes(Number(events[0] === 'abort'))
      expect(returned.filter((first) => first === true)).toHaveLength(Number(events[0] !== 'abort'))
      expect(listeners(controller.signal)).toBe(0)
    }),
  )
})

it('is rejected from the start by a signal that is aborted already', async () => {
  const onAbort = vi.fn()
  const signal = AbortSignal.abort('too late')
  const deferred = new AbortableDeferred(signal, onAbort)
  expect(deferred.isSettled).toBe(true)
  await expect(deferred.promise).rejects.toBe('too late')
  expect(onAbort).not.toHaveBeenCalled()
  expect(listeners(signal)).toBe(0)
})
