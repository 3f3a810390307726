import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'

let gc: (() => void) | undefined

/** Makes V8 collect all garbage now. Contexts that are created while `--expose-gc` is set have the function for it. */
export function collectGarbage(): void {
  if (gc === undefined) {
    v8.setFlagsFromString('--expose-gc')
    gc = runInNewContext('gc') as () => void
    v8.setFlagsFromString('--no-expose-gc')
  }
  gc()
}
