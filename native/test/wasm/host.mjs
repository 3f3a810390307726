// Runs the C tests where they are WebAssembly: node test/wasm/host.mjs FILE. DP_TEST_SEED repeats a run.
import { readFileSync, writeSync } from 'node:fs'

const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true })

/** The text at an address. */
function textAt(address) {
  const bytes = new Uint8Array(memory.buffer)
  return Buffer.from(bytes.slice(address, bytes.indexOf(0, address))).toString()
}

/** What printf makes of a format, and of arguments that lie one after the other. */
function formatted(format, address) {
  const view = new DataView(memory.buffer)
  const next = (bytes) => {
    const at = Math.ceil(address / bytes) * bytes
    address = at + bytes
    return at
  }
  return textAt(format).replace(/%[-+.0-9]*(ll|z)?([a-z])/g, (_, size, kind) => {
    if ('aefg'.includes(kind)) return String(view.getFloat64(next(8), true))
    if (kind === 's') return textAt(view.getUint32(next(4), true))
    if (size === 'll') return String(view.getBigUint64(next(8), true))
    const number = kind === 'd' ? view.getInt32(next(4), true) : view.getUint32(next(4), true)
    return number.toString(kind === 'x' ? 16 : 10)
  })
}

const env = {
  memory,
  now: () => performance.timeOrigin + performance.now(),
  exp: Math.exp,
  exit: process.exit,
  seed: () => Number(process.env.DP_TEST_SEED ?? Math.floor(Date.now() / 1000)),
  format(to, size, format, values) {
    const text = formatted(format, values)
    if (to === 0) return void writeSync(1, text)
    const bytes = Buffer.from(`${text.slice(0, size - 1)}\0`)
    new Uint8Array(memory.buffer).set(bytes, to)
  },
}

const module = new WebAssembly.Module(readFileSync(process.argv[2]))
process.exit(new WebAssembly.Instance(module, { env }).exports.run_tests())
