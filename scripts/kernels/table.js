/** @import { Counts } from './count.js' */

/**
 * @typedef {{ kernel: string, compiler: string, version: string, cells: string[] }} Row
 */

const START = '<!-- npm run kernels:report writes what follows -->'
const END = '<!-- up to here -->'
const HEADER = [
  'kernel',
  'compiler',
  'multiply-adds',
  'instructions',
  'loads',
  'moves',
  'spills',
  'worst tile',
]
const NAMES = 2 /* columns; numbers follow, aligned to the right */

const per64 = (/** @type {number} */ count, /** @type {Counts} */ { multiplyAdds }) =>
  ((64 * count) / multiplyAdds).toFixed(2)

/** Counts the spills in all of a kernel's loops. */
export const spillsOf = (/** @type {Counts[]} */ loops) =>
  Math.max(...loops.map(({ spills }) => spills))

/**
 * The table cells of a kernel with these loops. The full tile has the fewest loads per multiply-add; tiles for fewer
 * rows or columns, and for the remainder of K, need more.
 */
export function cellsOf(/** @type {Counts[]} */ loops) {
  const share = (/** @type {Counts} */ loop) => loop.loads / loop.multiplyAdds
  const [full] = loops.toSorted((a, b) => share(a) - share(b))
  return [
    String(full.multiplyAdds),
    per64(full.instructions, full),
    per64(full.loads, full),
    per64(full.moves, full),
    String(spillsOf(loops)),
    Math.max(...loops.map((loop) => Number(per64(loop.instructions, loop)))).toFixed(2),
  ]
}

/** Parses the rows between the marks of a page. @returns {Row[]} */
export function readRows(/** @type {string} */ page) {
  return between(page)
    .split('\n')
    .slice(2)
    .map((line) => {
      const [kernel, compiler, ...cells] = line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
      const [, name, version] = /^(.*) (\S+)$/.exec(compiler) ?? []
      return { kernel: kernel.replaceAll('`', ''), compiler: name, version, cells }
    })
}

/** Replaces the rows between the marks of a page. */
export function writeRows(/** @type {string} */ page, /** @type {Row[]} */ rows) {
  const lines = rows
    .toSorted((a, b) => compare(a.kernel, b.kernel) || compare(b.compiler, a.compiler))
    .map(({ kernel, compiler, version, cells }) => [
      `\`${kernel}\``,
      `${compiler} ${version}`,
      ...cells,
    ])
  return page.replace(between(page), layOut([HEADER, ...lines]))
}

/** Formats a table whose columns are as wide as their widest cell. The first line is its header. */
function layOut(/** @type {string[][]} */ lines) {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)))
  const rule = widths.map(
    (width, i) => '-'.repeat(i < NAMES ? width : width - 1) + (i < NAMES ? '' : ':'),
  )
  return [lines[0], rule, ...lines.slice(1)]
    .map((cells) =>
      cells.map((cell, i) => (i < NAMES ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))),
    )
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

const compare = (/** @type {string} */ a, /** @type {string} */ b) => (a < b ? -1 : a > b ? 1 : 0)

function between(/** @type {string} */ page) {
  const [, text] = new RegExp(`${START}\\n\\n([^]*?)\\n\\n${END}`).exec(page) ?? []
  if (text === undefined) throw new Error(`the page: expected "${START}", a table, "${END}"`)
  return text
}

/**
 * Merges recorded rows with newly counted ones, and drops kernels that no longer exist.
 * @param {Row[]} recorded
 * @param {Row[]} counted
 * @param {(kernel: string) => boolean} exists
 */
export function mergeRows(recorded, counted, exists) {
  const isCounted = (/** @type {Row} */ { kernel, compiler }) =>
    counted.some((row) => row.kernel === kernel && row.compiler === compiler)
  return [...recorded.filter((row) => exists(row.kernel) && !isCounted(row)), ...counted]
}

/**
 * What is wrong with the record, a sentence each: kernels that spill, and outdated rows. Another version of a compiler
 * may generate other code, as long as it does not spill.
 * @param {Row[]} recorded
 * @param {(Row & { spills: number })[]} counted
 * @param {(kernel: string) => boolean} exists
 */
export function faults(recorded, counted, exists) {
  const called = (/** @type {Row} */ { kernel, compiler, version }) =>
    `${kernel}, ${compiler} ${version}`
  const known = new Map(recorded.map((row) => [called(row), row.cells.join()]))
  const versions = new Set(recorded.map(({ compiler, version }) => `${compiler} ${version}`))
  return [
    ...counted
      .filter(({ spills }) => spills > 0)
      .map((row) => `${called(row)}: its hot loop spills ${row.spills} times`),
    ...counted
      .filter(({ compiler, version }) => versions.has(`${compiler} ${version}`))
      .filter((row) => known.get(called(row)) !== row.cells.join())
      .map((row) => `${called(row)}: the table is out of date`),
    ...recorded
      .filter(({ kernel }) => !exists(kernel))
      .map((row) => `${called(row)}: the kernel no longer exists`),
  ]
}
