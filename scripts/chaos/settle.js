import { setTimeout } from 'node:timers/promises'
import { collectGarbage } from '#src/native/collect-garbage.js'

/** Collects garbage more than once: V8 frees buffers in a thread of its own, some time after it has found them. */
export async function settle() {
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await setTimeout(5)
  }
}
