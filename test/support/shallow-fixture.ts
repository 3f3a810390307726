import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const fixture = fileURLToPath(new URL('../../fixtures/qwen3-shakespeare-w8a8', import.meta.url))

let folder: string | undefined

/**
 * The fixture with its first two layers only, for tests of what is around a model: its steps take half the time or less.
 * In a folder that is there until the process ends.
 */
export function shallowFixture(): string {
  folder ??= write(mkdtempSync(join(tmpdir(), 'dotpool-')))
  return folder
}

function write(to: string): string {
  process.on('exit', () => rmSync(to, { recursive: true }))
  const config = JSON.parse(readFileSync(join(fixture, 'config.json'), 'utf8'))
  const layers = { num_hidden_layers: 2, layer_types: config.layer_types.slice(0, 2) }
  writeFileSync(join(to, 'config.json'), JSON.stringify({ ...config, ...layers }))
  writeFileSync(join(to, 'tokenizer.json'), readFileSync(join(fixture, 'tokenizer.json')))
  const stored = readFileSync(join(fixture, 'model.safetensors'))
  writeFileSync(join(to, 'model.safetensors'), firstLayers(stored))
  return to
}

/** A safetensors file without the tensors of the other layers. */
function firstLayers(file: Buffer): Buffer {
  const start = 8 + Number(file.readBigUInt64LE())
  const { __metadata__: _, ...tensors } = JSON.parse(file.toString('utf8', 8, start))
  const header: Record<string, object> = {}
  const data: Buffer[] = []
  let end = 0
  for (const [name, { data_offsets: offsets, ...tensor }] of Object.entries<Entry>(tensors)) {
    if (/\.layers\.[2-9]/.test(name)) continue
    const [from, to] = offsets
    header[name] = { ...tensor, data_offsets: [end, end + to - from] }
    data.push(file.subarray(start + from, start + to))
    end += to - from
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.byteLength))
  return Buffer.concat([length, text, ...data])
}

interface Entry {
  data_offsets: [from: number, to: number]
}
