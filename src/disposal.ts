/*
 * Contexts of node:vm, such as tests get from Vitest's vmThreads, lack these symbols on Node 20, which adds them
 * to its main context alone.
 */
for (const name of ['dispose', 'asyncDispose'] as const) {
  if (name in Symbol) continue
  Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) })
}
