/**
 * @typedef {{ name: string, type: string }} Field
 * @typedef {{ name: string, text: string, fields: Field[] }} Struct
 * @typedef {{ name: string, values: string[] }} Enum
 * @typedef {{ constants: string[], enums: Enum[], structs: Struct[] }} Header
 *
 * `text` is the first sentence of the comment before a struct, or empty.
 */

/** The constants, enumerations and structs that the header declares, in its order. @returns {Header} */
export function readHeader(/** @type {string} */ source) {
  const code = source.replaceAll(/alignas\(\w+\)/g, '')
  return {
    constants: [...code.matchAll(/^#define (DP_\w+) +\w+/gm)]
      .map(([, name]) => name)
      .filter((name) => name !== 'DP_EXPORT'),
    enums: [...code.matchAll(/typedef enum (dp_\w+) \{(.*?)\n?\} \1;/gs)].map(([, name, body]) => ({
      name,
      values: [...withoutComments(body).matchAll(/(DP_\w+) =/g)].map(([, value]) => value),
    })),
    structs: [
      ...code.matchAll(/(?:\/\*((?:(?!\*\/).)*)\*\/\n)?typedef struct (dp_\w+) \{(.*?)\n\} \2;/gs),
    ].map(([, comment = '', name, body]) => ({
      name,
      text: comment.replaceAll(/\s*\n \* ?/g, ' ').trim(),
      fields: readFields(withoutComments(body)),
    })),
  }
}

const withoutComments = (/** @type {string} */ text) => text.replaceAll(/\/\*.*?\*\//gs, '')

/** A union's members are the struct's own; of an array the name is kept. @returns {Field[]} */
function readFields(/** @type {string} */ body) {
  return body
    .replaceAll(/union \{|\}/g, '')
    .split(';')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .flatMap((line) => {
      const [, type, names] = /^((?:_Atomic )?\w+)\s+(.*)$/s.exec(line) ?? []
      return names
        .split(',')
        .map((name) => name.trim())
        .filter((name) => !name.endsWith('[]'))
        .map((name) => ({ name: name.replace(/\[.*/, ''), type: type.replace('_Atomic ', '') }))
    })
    .filter(({ name }) => name !== 'padding')
}
