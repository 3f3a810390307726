// Platforms with a prebuilt package, and how to build their libraries.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

export const platforms = [
  { name: 'linux-x64', os: 'linux', cpu: 'x64', libc: 'glibc', compiler: 'x86_64-linux-gnu-gcc' },
  { name: 'linux-x64-musl', os: 'linux', cpu: 'x64', libc: 'musl', compiler: 'musl-gcc' },
  {
    name: 'linux-arm64',
    os: 'linux',
    cpu: 'arm64',
    libc: 'glibc',
    compiler: 'aarch64-linux-gnu-gcc',
  },
  {
    name: 'linux-arm64-musl',
    os: 'linux',
    cpu: 'arm64',
    libc: 'musl',
    compiler: 'aarch64-linux-musl-gcc',
  },
  { name: 'win32-x64', os: 'win32', cpu: 'x64', compiler: 'x86_64-w64-mingw32-gcc' },
]

/** The file that dotpool looks for in the platform's package. */
export const libraryOf = ({ os }) => `libdotpool.${os === 'win32' ? 'dll' : 'so'}`

/** Whether this machine has the platform's compiler, for the platform's CPU. */
export function canBuild({ cpu, compiler }) {
  const { status, stdout } = spawnSync(compiler, ['-dumpmachine'], { encoding: 'utf8' })
  return status === 0 && stdout.startsWith({ x64: 'x86_64', arm64: 'aarch64' }[cpu])
}

/** Builds the platform's library for all of its CPUs, stripped; returns its path. */
export function build(platform, native) {
  const { name, compiler } = platform
  const make = ['-C', native, '--silent', `-j${availableParallelism()}`]
  const settings = [`CC=${compiler}`, `BUILD=build/${name}`, 'CFLAGS=-O3 -s']
  const { status } = spawnSync('make', [...make, ...settings], { stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`${name}: the library does not build`)
  return join(native, 'build', name, libraryOf(platform))
}
