// Builds the published packages in packages/: dotpool itself, for each platform an optional dependency with its native
// library, so that users need neither a compiler nor install scripts, and the server.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, canBuild, libraryOf, platforms } from './platforms.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = join(root, 'packages')
const manifest = readManifest(root)

/** What is published of a package.json. */
function readManifest(folder) {
  const text = readFileSync(join(folder, 'package.json'), 'utf8')
  const { scripts, devDependencies, workspaces, overrides, ...published } = JSON.parse(text)
  return published
}

/** Packs a folder with these files, given by their paths in it, and this package.json. */
function pack(folder, files, description) {
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    cpSync(source, join(folder, path))
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(description, null, 2)}\n`)
  const options = ['--ignore-scripts', '--json', '--pack-destination', packages]
  const [{ filename, size }] = JSON.parse(npm('pack', folder, ...options))
  console.log(`${filename}  ${(size / 1e6).toFixed(2)} MB`)
}

function npm(...args) {
  return execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] })
}

rmSync(packages, { recursive: true, force: true })

const built = platforms.filter(canBuild)
for (const platform of platforms) {
  if (!built.includes(platform)) {
    console.log(`${platform.name} is left out: building it needs ${platform.compiler}`)
    continue
  }
  const { name, os, cpu, libc } = platform
  const { version, license, engines } = manifest
  const library = libraryOf(platform)
  const files = {
    [library]: build(platform, join(root, 'native')),
    LICENSE: join(root, 'LICENSE'),
  }
  pack(join(packages, name), files, {
    name: `@dotpool/${name}`,
    version,
    description: `dotpool's native library for ${name}`,
    license,
    engines,
    files: [library],
    os: [os],
    cpu: [cpu],
    libc: libc && [libc],
  })
}

/** The files that npm packs of a folder, by their paths in it. */
function filesOf(folder) {
  const [listing] = JSON.parse(npm('pack', folder, '--ignore-scripts', '--dry-run', '--json'))
  return Object.fromEntries(listing.files.map(({ path }) => [path, join(folder, path)]))
}

pack(join(packages, manifest.name), filesOf(root), {
  ...manifest,
  optionalDependencies: Object.fromEntries(
    built.map(({ name }) => [`@dotpool/${name}`, manifest.version]),
  ),
})

const server = join(root, 'server')
pack(join(packages, 'server'), filesOf(server), readManifest(server))
