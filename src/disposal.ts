/*
 * Node 20 adds these symbols to its main context only. Other contexts of node:vm, such as those of Vitest's vmThreads,
 * lack them.
 */
for (const name of ['dispose', 'asyncDispose'] as const) {
  if (name in Symbol) continue
  Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) })
}
