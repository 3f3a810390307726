/**
 * @typedef {{ isa: string, gemv: string, gemm: string, few: string }} Isa kernels by their tile and ISA
 * @typedef {{ isas: Isa[], gemms: string[], fours: { tile: string, isa: string, gemv: string }[] }} List
 */

/** What native/src/isas.h lists. @returns {List} */
export function readList(/** @type {string} */ source) {
  const lines = (/** @type {string} */ macro) =>
    [...source.matchAll(new RegExp(`^${macro}\\((.*)\\)$`, 'gm'))].map(([, args]) =>
      args.split(',').map((arg) => arg.trim()),
    )
  return {
    isas: lines('DP_LIST_ISA').map(([isa, , , , gemv, gemm, few]) => ({ isa, gemv, gemm, few })),
    gemms: lines('DP_LIST_GEMM').map(([tile, isa]) => `${tile}_${isa}`),
    fours: lines('DP_LIST_S4').map(([tile, isa, gemv]) => ({ tile, isa, gemv })),
  }
}

const KINDS = [
  'epilogue|quantize_row|roofline|stream|probe',
  'gemv_s8_1x64c4|gemm_s8_\\d+x\\d+c4',
  'gemv_s4_1x64c8|gemm_s4_\\d+x\\d+c8',
].join('|')

/**
 * What is wrong with the names of the files in src/kernels, a sentence each: KIND_ISA.c, where the tile of a GEMM is
 * part of its kind, and a GEMM or GEMV is one of the list.
 * @param {string[]} files
 * @param {List} list
 */
export function misnamed(files, { isas, gemms, fours }) {
  const names = isas.map(({ isa }) => isa)
  const listed = [
    ...gemms.map((kernel) => `gemm_s8_${kernel}.c`),
    ...isas.map(({ gemv }) => `gemv_s8_1x64c4_${gemv}.c`),
    ...fours.map(({ gemv }) => `gemv_s4_1x64c8_${gemv}.c`),
    ...fours.map(({ tile, isa }) => `gemm_s4_${tile}_${isa}.c`),
  ]
  const grammar = new RegExp(`^(${KINDS})_(${names.join('|')})\\.c$`)
  return [
    ...files.filter((file) => !grammar.test(file)).map((file) => `${file}: no KIND_ISA.c`),
    ...files
      .filter((file) => /^gem/.test(file) && !listed.includes(file))
      .map((file) => `${file}: isas.h does not list it`),
    ...listed.filter((file) => !files.includes(file)).map((file) => `${file}: it is not there`),
  ]
}

/** The column of the page's first table that the list tells. */
const TILES = 3

/** The page with the list's GEMM tiles in its first table, whose rows are the list's ISAs and `typescript`. */
export function writeTiles(/** @type {string} */ page, /** @type {List} */ { isas }) {
  const [table] = /^\|.*?\n(?=\n)/ms.exec(page) ?? ['']
  const [header, , ...rows] = table
    .trim()
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  for (const [i, cells] of rows.entries()) {
    const name = isas[i]?.isa ?? 'typescript'
    if (cells[0] !== `\`${name}\``) {
      throw new Error(`ISAS.md: expected a row of ${name}, in the order of isas.h, not ${cells[0]}`)
    }
    cells[TILES] = tilesOf(isas[i])
  }
  return page.replace(table, layOut([header, ...rows]))
}

/** A table whose columns are as wide as their widest cell. The first line is its header. */
function layOut(/** @type {string[][]} */ lines) {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((cells) => cells[i].length)))
  return [lines[0], widths.map((width) => '-'.repeat(width)), ...lines.slice(1)]
    .map((cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |\n`)
    .join('')
}

function tilesOf(/** @type {Isa | undefined} */ isa) {
  if (isa === undefined) return ''
  const [many, few] = [isa.gemm, isa.few].map((kernel) =>
    kernel.replace(/^(\d+)x(\d+).*/, '$1 x $2'),
  )
  return many === few ? many : `${many} (${few})`
}
