/** @import { Header } from './header.js' */
/** @import { Layout } from './probe.js' */

/** A C file that compiles only where structs are laid out as they were here. */
export function assertions(/** @type {Header} */ { structs }, /** @type {Layout} */ layout) {
  const lines = structs.flatMap(({ name, fields }) => [
    `\nSIZE(${name}, ${layout.sizes[name]});`,
    ...fields.map(
      (field) => `OFFSET(${name}, ${field.name}, ${layout.offsets[name][field.name]});`,
    ),
  ])
  return `/* layouts.c: that this compiler lays structs out as src/native/layout.ts has them. Written by npm run layouts. */
#include "../include/dotpool.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == bytes, "the size of " #type)
#define OFFSET(type, field, at) _Static_assert(offsetof(type, field) == at, "where " #type " has " #field)
${lines.join('\n')}
`
}
