import { formatCpuList } from '../cpus/cpu-list.js'
import { describePeakRate } from '../measure/peak-rate.js'
import { bytes, count, digits, duration } from '../measure/quantities.js'
import { describeOutliers } from '../model/decoder/model-linear.js'
import type { Diagnosis } from './diagnosis.js'

/** A label, and its finding. */
type Finding = [string, string]

/** Formats the diagnosis for people: a line for each finding, aligned, and remedies at the end. */
export function presentDiagnosis(diagnosis: Diagnosis): string {
  const { version, node, machine, measured } = diagnosis
  const groups: Finding[][] = [
    [
      ['dotpool', version],
      ['Node.js', node],
      ['native library', library(diagnosis)],
      ...places(diagnosis),
      ['WebAssembly', wasm(diagnosis)],
      ['threads', threads(diagnosis)],
      ['cores', cores(diagnosis)],
    ],
    [
      ['kernels', kernels(diagnosis)],
      ['built by', diagnosis.native.compiler ?? 'none: TypeScript runs'],
      ...diagnosis.kernels.map(({ isa, obstacle }): Finding => {
        return [`  ${isa}`, obstacle ?? (isa === diagnosis.isa ? 'in use' : 'can run')]
      }),
      ['activations', `int8 by rows; models keep exact in each: ${describeOutliers()}`],
    ],
    [
      ['system', `${machine.system}, ${bytes(machine.memoryBytes)} of memory`],
      ['CPU', machine.cpu],
      ['features', machine.features.join(' ') || 'unknown'],
      ['L2 cache', machine.l2Bytes === null ? 'unknown' : `${bytes(machine.l2Bytes)} a core`],
      ['L3 cache', machine.l3Bytes === null ? 'unknown' : bytes(machine.l3Bytes)],
      ['huge pages', hugePages(diagnosis)],
    ],
  ]
  if (measured !== null) {
    const { p50, p99 } = measured.regionMicros
    groups.push([
      ['memory reads', `${digits(measured.readGBs)} GB/s, all threads`],
      ['int8 multiplies', `${digits(measured.multiplyGops)} GOPS, all threads`],
      ['', describePeakRate(measured.peakRate)],
      [
        'region',
        `p50 ${duration(p50)}, p99 ${duration(p99)}: all threads meet, called from JavaScript`,
      ],
    ])
  }
  const width = Math.max(...groups.flat().map(([label]) => label.length))
  const blocks = groups.map((group) =>
    group.map(([label, finding]) => `${label.padEnd(width)}  ${finding}`).join('\n'),
  )
  return [...blocks, ...remedies(diagnosis)].join('\n\n')
}

function library({ native: { library, problem } }: Diagnosis): string {
  if (library === null) return 'missing'
  return `${problem === null ? '' : 'does not load: '}${library.path} (from ${library.origin})`
}

function wasm({ native: { wasm } }: Diagnosis): string {
  if (wasm.path === null) return `missing: ${wasm.problem}`
  return wasm.problem === null ? wasm.path : `${wasm.path} ${wasm.problem}`
}

/** Where the library was looked for, a line each. */
function places({ native }: Diagnosis): Finding[] {
  return native.places.map(({ origin, path, exists }, i) => {
    const found = exists ? 'found' : 'not found'
    const where = path.startsWith(origin) ? path : `${path} (${origin})`
    return [i === 0 ? 'searched' : '', `${where}: ${found}`]
  })
}

function kernels({ isa, wantedIsa }: Diagnosis): string {
  return `${isa}, ${wantedIsa === null ? 'the best that can run here' : 'as DOTPOOL_ISA says'}`
}

function threads({ threads: { count, affinity, quota }, machine }: Diagnosis): string {
  const mask = `${affinity} of ${machine.cpus} CPUs in the affinity mask`
  const limit = quota === null ? 'no cgroup quota' : `a cgroup quota of ${digits(quota)} CPUs`
  return `${count} (${mask}, ${limit})`
}

function cores({ threads: { fast } }: Diagnosis): string {
  if (process.platform === 'win32') return 'not known which are faster; all are used'
  if (fast === null) return 'all alike, as far as the system reports'
  const which = fast.cpus === null ? '' : ` (${formatCpuList(fast.cpus)})`
  return `${count(fast.count, 'CPU')}${which} on fast cores by ${fast.source}; only these are used`
}

function hugePages({ hugePages: { setting, bufferBytes, hugeBytes } }: Diagnosis): string {
  if (setting === null) return 'unknown'
  if (bufferBytes === null || hugeBytes === null) return setting
  return `${setting}; ${bytes(hugeBytes)} of a ${bytes(bufferBytes)} buffer uses them`
}

function remedies({ native, hugePages: { setting }, isa }: Diagnosis): string[] {
  const lines: string[] = []
  if (native.problem !== null) lines.push(native.problem)
  else if (isa === 'typescript') lines.push('DOTPOOL_ISA=typescript: unset it for native kernels')
  if (setting === 'never') {
    lines.push(
      'huge pages are off; to enable them: echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled',
    )
  }
  return lines
}
