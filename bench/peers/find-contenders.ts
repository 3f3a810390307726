import type { Bits } from '../../dist/bench/models/bits.js'
import type { Pool } from '../../dist/src/index.js'
import type { Contender } from './contender.js'
import { dotpool } from './contenders/dotpool.js'
import type { Absence } from './report.js'

/** Rivals that cannot take part on any machine. */
const absent: Absence[] = [
  {
    name: 'tfjs-node',
    why: 'does not install here: its install script downloads libtensorflow from storage.googleapis.com',
  },
  {
    name: 'node-llama-cpp',
    why: 'has no call for a single Linear; `npm run bench:models` compares it by whole models',
  },
]

/** Finds dotpool, every rival that runs on this machine, and why others do not. */
export async function findContenders(
  pool: Pool,
  bits: Bits,
): Promise<{ contenders: Contender[]; absent: Absence[] }> {
  const { threads } = pool
  const contenders = [dotpool(pool, bits)]
  const missing: Absence[] = []
  for (const [name, start] of Object.entries(rivals)) {
    if (bits === 4 && !hasFourBits.has(name)) continue
    try {
      contenders.push(...(await start(threads, bits)))
    } catch (error) {
      missing.push({ name, why: `does not run here: ${firstLine(error)}` })
    }
  }
  return { contenders, absent: [...missing, ...absent] }
}

/** Loaded by import(), so that a rival whose binary does not load leaves the others running. */
const rivals: Record<string, (threads: number, bits: Bits) => Promise<Contender[]>> = {
  'onnxruntime-node': async (threads, bits) => {
    const { wholeRun } = await import('./contenders/onnxruntime/whole-run.js')
    const { runPerLinear } = await import('./contenders/onnxruntime/run-per-linear.js')
    return [
      wholeRun(threads, bits),
      runPerLinear({ threads, spinning: true }, bits),
      runPerLinear({ threads, spinning: false }, bits),
    ]
  },
  'C, OpenMP': async (threads) => {
    const { openmp } = await import('./contenders/openmp/openmp.js')
    return [await openmp(threads)]
  },
  'tfjs, wasm': async () => {
    const { tfjs } = await import('./contenders/tfjs.js')
    return [await tfjs()]
  },
}

/** Those of them that multiply by weights of four bits. */
const hasFourBits: ReadonlySet<string> = new Set(['onnxruntime-node'])

function firstLine(error: unknown): string {
  return String(error).split('\n', 1)[0]
}
