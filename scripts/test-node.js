// Runs the tests of the built package on other Node.js versions, which npm fetches and caches:
// node scripts/test-node.js VERSION... [vitest's arguments]
import { spawnSync } from 'node:child_process'

const isVersion = (text) => /^\d+(\.\d+)*$/.test(text)
const versions = process.argv.slice(2).filter(isVersion)
const others = process.argv.slice(2).filter((text) => !isVersion(text))

if (versions.length === 0) {
  console.error('usage: npm run test:node -- VERSION... [TEST FILE...]')
  process.exit(2)
}

const binary = `node-${process.platform}-${process.arch}`
const failed = versions.filter((version) => {
  console.log(`Node.js ${version}`)
  const node = ['--yes', `--package=${binary}@${version}`, '--', 'node']
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', ...others]
  return spawnSync('npx', [...node, ...vitest], { stdio: 'inherit' }).status !== 0
})

if (failed.length > 0) console.error(`failed on Node.js ${failed.join(', ')}`)
process.exit(failed.length > 0 ? 1 : 0)
