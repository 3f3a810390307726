import { setTimeout } from 'node:timers/promises'
import { collectGarbage } from '#src/native/collect-garbage.js'

/** Collects garbage more than once: one of V8's threads frees buffers, some time after it has found them. */
export async function settle() {
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await setTimeout(5)
  }
}
