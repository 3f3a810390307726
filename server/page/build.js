// Bundles the page into dist/page: its scripts with the libraries that they use, whose licences go with them.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const source = fileURLToPath(new URL('.', import.meta.url))
const target = fileURLToPath(new URL('../dist/page', import.meta.url))

rmSync(target, { recursive: true, force: true })
for (const path of ['index.html', 'docs/index.html', 'assets']) {
  cpSync(join(source, path), join(target, path), { recursive: true })
}
const { metafile } = await build({
  absWorkingDir: source,
  entryPoints: ['chat.ts', 'docs.ts'],
  outdir: join(target, 'assets'),
  bundle: true,
  splitting: true,
  chunkNames: '[name]',
  minify: true,
  format: 'esm',
  target: 'es2022',
  metafile: true,
  logLevel: 'warning',
})

/** Folders of the packages that were bundled. */
const packages = new Set(
  Object.keys(metafile.inputs).flatMap((input) => {
    return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? []
  }),
)
const licences = [...packages].map((folder) => {
  const path = join(source, folder)
  const { name, version } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
  const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry))
  if (file === undefined) throw new Error(`${name} has no licence file`)
  return `${name} ${version}\n\n${readFileSync(join(path, file), 'utf8').trim()}\n`
})
writeFileSync(join(target, 'assets/licenses.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`))
