/** @import { Header } from './header.js' */

/**
 * What the compiler makes of the header.
 * @typedef {{
 *   values: Record<string, number>,
 *   sizes: Record<string, number>,
 *   offsets: Record<string, Record<string, number>>,
 * }} Layout
 * `values`: of constants and enumerations; `sizes` and `offsets`: of structs, bytes.
 */

/** A C program that prints the header's {@link Layout} as JSON. */
export function probe(/** @type {Header} */ { constants, enums, structs }) {
  const names = [...constants, ...enums.flatMap(({ values }) => values)]
  const values = names.map((name) => number(name, `(unsigned long long)${name}`))
  const sizes = structs.map(({ name }) => number(name, `(unsigned long long)sizeof(${name})`))
  const offsets = structs.map(({ name, fields }) =>
    object(
      name,
      fields.map((field) =>
        number(field.name, `(unsigned long long)offsetof(${name}, ${field.name})`),
      ),
    ),
  )
  return `#include <stdio.h>
#include "dotpool.h"
int main(void) {
  puts("{");
${[object('values', values), object('sizes', sizes), object('offsets', offsets)].join('  puts(",");\n')}
  puts("}");
}
`
}

const number = (/** @type {string} */ name, /** @type {string} */ value) =>
  `  printf("\\"${name}\\": %llu", ${value});\n`

const object = (/** @type {string} */ name, /** @type {string[]} */ members) =>
  `  puts("\\"${name}\\": {");\n${members.join('  puts(",");\n')}  puts("}");\n`
