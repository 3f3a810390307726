import { expect, it } from 'vitest'
import { nativeLibrary } from '#src/native/load.js'
import { runScript } from '../support/child.js'

/*
 * Simulates one worker: its seat is taken, and its cursor says that it is still inside the program of the list, as if
 * the system had suspended it while it looked for a unit to claim. This thread does the other worker's work.
 */
const script = `
  import { loadNative } from '#src/native/load.js'
  import { RegionLayout, RING, Seat, WorkerLayout } from '#src/native/layout.js'
  import { Control } from '#src/pool/control.js'
  import { OpList } from '#src/pool/op-list.js'

  const native = loadNative()
  const control = new Control(native, 1)
  const empty = { kind: 0 }
  let epoch = 0
  const run = (ops) => {
    control.publish({ ops: () => ops }, ++epoch, true)
    native.help(control.address, epoch, 1e12)
  }
  const collected = async () => {
    await new Promise((resolve) => setTimeout(resolve))
    gc()
    return list.deref() === undefined
  }

  let list = new WeakRef(new OpList(native, 1, [empty]))
  run(list.deref())
  Atomics.store(control.words, control.seat(0), Seat.taken)
  for (let i = 0; i < 2 * RING; i++) run([empty])
  const whileItMayRead = await collected()

  if (process.env.HOW === 'parks') Atomics.store(control.words, control.seat(0), Seat.parked)
  else Atomics.store(control.words, RegionLayout.workers + WorkerLayout.cursor, epoch)
  run([empty])
  console.log(JSON.stringify({ whileItMayRead, afterwards: await collected() }))
`

it.skipIf(nativeLibrary() === null).each([['parks'], ['leaves']])(
  'keeps the memory of a replaced list of ops until a worker that may still read it %s',
  async (how) => {
    const { stdout, stderr } = await runScript(script, {
      flags: ['--expose-gc'],
      env: { HOW: how },
    })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({ whileItMayRead: false, afterwards: true })
  },
)
