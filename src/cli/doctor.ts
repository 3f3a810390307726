import { Command } from 'commander'
import { type Diagnosis, diagnose } from './diagnosis.js'
import { bytes, digits, duration } from './text.js'

export const doctorCommand = new Command('doctor')
  .description('tell what this machine can do and what stands in its way')
  .option('--json', 'print JSON')
  .action(async ({ json }: { json?: true }) => {
    const diagnosis = await diagnose()
    console.log(json ? JSON.stringify(diagnosis, null, 2) : present(diagnosis))
  })

/** The diagnosis for people: a line for each finding, aligned, and remedies at the end. */
function present(diagnosis: Diagnosis): string {
  const { version, node, machine, measured } = diagnosis
  const groups: [string, string][][] = [
    [
      ['dotpool', version],
      ['Node.js', node],
      ['native library', library(diagnosis)],
      ['kernels', kernels(diagnosis)],
      ['threads', threads(diagnosis)],
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

function kernels({ isa, native }: Diagnosis): string {
  const others = [...native.isas, 'typescript'].filter((other) => other !== isa)
  return others.length === 0 ? isa : `${isa} (also possible: ${others.join(', ')})`
}

function threads({ threads: { count, affinity, quota }, machine }: Diagnosis): string {
  const mask = `${affinity} of ${machine.cpus} CPUs in the affinity mask`
  const limit = quota === null ? 'no cgroup quota' : `a cgroup quota of ${digits(quota)} CPUs`
  return `${count} (${mask}, ${limit})`
}

function hugePages({ hugePages: { setting, bufferBytes, hugeBytes } }: Diagnosis): string {
  if (setting === null) return 'unknown'
  if (bufferBytes === null || hugeBytes === null) return setting
  return `${setting}; ${bytes(hugeBytes)} of a ${bytes(bufferBytes)} buffer lie in them`
}

function remedies({ native, hugePages: { setting }, isa }: Diagnosis): string[] {
  const lines: string[] = []
  if (native.problem !== null) lines.push(native.problem)
  else if (isa === 'typescript') lines.push('DOTPOOL_ISA=typescript: unset it for native kernels')
  if (setting === 'never') {
    lines.push(
      'huge pages are off; on: echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled',
    )
  }
  return lines
}
