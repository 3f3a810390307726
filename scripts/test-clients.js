// Runs the tests of the server by other people's clients, whose newest versions for this Node.js npm fetches:
// node scripts/test-clients.js [vitest's arguments]
import { spawnSync } from 'node:child_process'

const tests = 'server/test/clients'
const [major] = process.versions.node.split('.').map(Number)
const isCurrent = major >= 22
const folder = `${tests}/${isCurrent ? 'current' : 'node-20'}`

run('npm', 'ci', '--prefix', folder, '--no-audit', '--no-fund')
// by the types of the older ones
if (!isCurrent) run(process.execPath, 'node_modules/typescript/bin/tsc', '-p', tests)
run(process.execPath, 'node_modules/vitest/vitest.mjs', 'run', tests, ...process.argv.slice(2))

/** @param {string} command @param {string[]} args */
function run(command, ...args) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
