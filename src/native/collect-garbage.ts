import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'

let gc: (() => void) | undefined

/** Lets V8 collect all garbage, at once. Node.js shows the function to contexts that are made while it is told to. */
export function collectGarbage(): void {
  if (gc === undefined) {
    v8.setFlagsFromString('--expose-gc')
    gc = runInNewContext('gc') as () => void
    v8.setFlagsFromString('--no-expose-gc')
  }
  gc()
}
