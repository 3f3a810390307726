import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Contender, WEIGHT_SCALE } from '../../contender.js'
import { rotationLength } from '../../rotation.js'

const source = fileURLToPath(new URL('linear.c', import.meta.url))
const cache = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url))
const program = `${cache}linear`

const flags = ['-O3', '-march=native', '-ffast-math', '-fopenmp']
if (process.arch === 'x64') flags.push('-mprefer-vector-width=512')

/** Plain loops in C, parallel by OpenMP, in a process of their own that measures its own times. */
export async function openmp(threads: number): Promise<Contender> {
  const execute = promisify(execFile)
  await mkdir(cache, { recursive: true })
  await execute('gcc', [...flags, '-o', program, source, '-lm'])
  const { stdout: compiler } = await execute('gcc', ['-dumpfullversion'])
  return {
    name: 'gcc',
    version: `${compiler.trim()} ${flags.join(' ')}`,
    load: async (shape, first) => {
      const { k, n } = shape
      const child = new LinearProcess(
        spawn(program, [k, n, rotationLength(shape, 8), WEIGHT_SCALE].map(String), {
          env: { ...process.env, OMP_NUM_THREADS: String(threads) },
          stdio: ['pipe', 'pipe', 'inherit'],
        }),
      )
      child.send(first)
      return {
        take: async (rows) => {
          const m = rows.length / k
          child.send(Int32Array.of(m))
          child.send(rows)
          const lastRow = await child.receive()
          return [
            {
              name: 'C, OpenMP',
              sample: () => {
                child.send(Int32Array.of(0))
                return child.receive()
              },
              lastRow: async () => Float32Array.from(lastRow),
            },
          ]
        },
        close: () => child.end(),
      }
    },
  }
}

/** The running program. */
class LinearProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  send({ buffer, byteOffset, byteLength }: ArrayBufferView): void {
    this.#child.stdin.write(new Uint8Array(buffer, byteOffset, byteLength))
  }

  async receive(): Promise<number[]> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the C program ended with ${this.#child.exitCode}`)
    return value.trim().split(' ').map(Number)
  }

  async end(): Promise<void> {
    this.#child.stdin.end()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
  }
}
