// Builds the published packages in packages/: dotpool itself, and for each platform an optional dependency with its
// native library, so that users need neither a compiler nor install scripts.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, canBuild, libraryOf, platforms } from './platforms.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = join(root, 'packages')
const { scripts, devDependencies, ...manifest } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
)

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

const [listing] = JSON.parse(npm('pack', '--ignore-scripts', '--dry-run', '--json'))
const files = listing.files.map(({ path }) => [path, join(root, path)])
pack(join(packages, manifest.name), Object.fromEntries(files), {
  ...manifest,
  optionalDependencies: Object.fromEntries(
    built.map(({ name }) => [`@dotpool/${name}`, manifest.version]),
  ),
})
