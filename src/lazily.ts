/** Defines a property that is computed when it is read first. Structured clones have it, too. */
export function lazily<T extends object, K extends keyof T>(
  object: T,
  key: K,
  compute: () => T[K],
): void {
  let computed: { value: T[K] } | undefined
  const get = () => {
    computed ??= { value: compute() }
    return computed.value
  }
  Object.defineProperty(object, key, { get, enumerable: true })
}
