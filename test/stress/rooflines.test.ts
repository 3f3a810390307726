import { spawnSync } from 'node:child_process'
import { checkRooflines } from '../support/rooflines.js'

/* The rooflines by every other compiler: users may build with clang, and packages are built for other CPUs. */

const clangs = ['clang', 'clang-19', 'clang-18', 'clang-17', 'clang-16']
const clang = clangs.find((name) => spawnSync(name, ['--version']).status === 0) ?? 'clang'

checkRooflines(clang)
checkRooflines('aarch64-linux-gnu-gcc')
checkRooflines(`${clang} --target=aarch64-linux-gnu`)
checkRooflines(`${clang} --target=wasm32`)
