import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { fixture, temporaryFolder, writeCheckpoint, writeTokenizer } from '../model/support.js'
import { dotpool } from './run.js'

const down = 'model.layers.0.mlp.down_proj.weight'
const up = 'model.layers.0.mlp.up_proj.weight'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let floats: string

/** A checkpoint with float weights. */
beforeAll(async () => {
  folder = await temporaryFolder()
  floats = join(folder.path, 'floats')
  await mkdir(floats)
  await writeCheckpoint(floats)
  await writeTokenizer(floats)
})

afterAll(() => folder[Symbol.asyncDispose]())

async function dtypes(checkpointFolder: string, names: string[]): Promise<string[]> {
  await using checkpoint = await Checkpoint.open(checkpointFolder)
  return names.map((name) => checkpoint.dtype(name))
}

test.concurrent('quantize writes an int8 checkpoint, and prints the sizes', async () => {
  const target = join(folder.path, 'int8')
  const { code, stdout, stderr } = await dotpool(['quantize', floats, target])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const sizes = /: \d+ KiB before, \d+ KiB now, in \S+ m?s\nint8 by channels; .* exact\n$/
  expect(stdout).toMatch(sizes)
  expect(await dtypes(target, [down, up])).toEqual(['I8', 'I8'])

  const text = ['generate', 'ROMEO:', '--max-tokens', '8', '--temperature', '0', '--model']
  const [a, b] = [
    await dotpool([...text, floats, '--quantize', 'w8a8']),
    await dotpool([...text, target]),
  ]
  expect(b.code).toBe(0)
  expect(b.stdout).toBe(a.stdout)
})

test.concurrent('--skip leaves Linears as they are, and can be repeated', async () => {
  const target = join(folder.path, 'skipped')
  const skips = ['--skip', 'down_proj', '--skip', 'self_attn.*']
  const { code } = await dotpool(['quantize', ...skips, floats, target])
  expect(code).toBe(0)
  const query = 'model.layers.0.self_attn.q_proj.weight'
  expect(await dtypes(target, [down, up, query])).toEqual(['F32', 'I8', 'F32'])
})

test.concurrent('--calibrate calibrates on a text, and prints how much of it was used', async () => {
  const target = join(folder.path, 'calibrated')
  const { code, stdout, stderr } = await dotpool([
    'quantize',
    ...[floats, target],
    ...['--calibrate', 'README.md'],
  ])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^calibrated on 48 of \d+ tokens\n.* before, /)
  // a head that differs from the embedding is stored on its own
  expect(await dtypes(target, [down, up, 'lm_head.weight'])).toEqual(['I8', 'I8', 'I8'])
})

test.concurrent('--quantize w4a8 writes four bits a weight', async () => {
  const target = join(folder.path, 'w4a8')
  const value = 'model.layers.0.self_attn.v_proj.weight'
  const fourBits = ['--quantize', 'w4a8', '--head', 'int4']
  const { code, stdout, stderr } = await dotpool(['quantize', floats, target, ...fourBits])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(/ before, .* now, in .*\nfour bits by groups of 32, /)
  const linears = [down, up, value, 'lm_head.weight']
  expect(await dtypes(target, linears)).toEqual(['U8', 'U8', 'I8', 'U8'])

  const text = ['generate', 'ROMEO:', '--max-tokens', '8', '--temperature', '0', '--model']
  const [a, b] = [await dotpool([...text, floats, ...fourBits]), await dotpool([...text, target])]
  expect(b.code).toBe(0)
  expect(b.stdout).toBe(a.stdout)

  // and back to plain int8, which is exact
  const plain = join(folder.path, 'plain')
  const converted = await dotpool(['quantize', target, plain, '--quantize', 'w8a8'])
  expect(converted.stderr).toBe('')
  expect(await dtypes(plain, linears)).toEqual(['I8', 'I8', 'I8', 'I8'])
  expect((await dotpool([...text, plain])).stdout).toBe(a.stdout)
})

test.concurrent('--bits keeps to a budget, and prints harms measured on the text', async () => {
  const target = join(folder.path, 'budget')
  const { code, stdout, stderr } = await dotpool([
    ...['quantize', floats, target, '--bits', '5'],
    ...['--calibrate', 'README.md'],
  ])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /\nlayer +q_proj +k_proj .* down_proj\n0( +(4\.25|8) \(\d\.\de-\d+\)){7}\n/,
  )
  expect(stdout).toMatch(/\nlm_head +8\n/)
  const types = await dtypes(target, [down, up, 'lm_head.weight'])
  expect(types[2]).toBe('I8')
})

test.concurrent('--calibrate refuses a text that is too short', async () => {
  const short = join(folder.path, 'short.txt')
  await writeFile(short, 'To be, or not')
  const target = join(folder.path, 'none')
  const { code, stderr } = await dotpool(['quantize', floats, target, '--calibrate', short])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: calibration: expected at least 24 tokens, .* got \d+\n$/)
})

test.concurrent.each([
  [['src', 'new'], 'It has no config.json.'],
  [[fixture, 'src'], 'folder: expected a new or an empty folder, got src with'],
  [[fixture, 'package.json'], 'package.json'],
  [[fixture, 'new', '--skip', 'nonsense'], 'skip: expected names of Linears'],
  [[fixture, 'new', '--calibrate', 'nowhere'], 'nowhere'],
  [[fixture, 'new', '--bits', '4'], 'bits: expected a number of at least 4.25, got 4'],
  [[fixture, 'new', '--bits', '5', '--quantize', 'w8a8'], 'bits: expected none without'],
])('quantize %j fails with one line', async (args, message) => {
  const { code, stdout, stderr } = await dotpool(['quantize', ...args])
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
  expect(await readdir('.')).not.toContain('new')
})
