import koffi from 'koffi'

/** The fields of glibc's mallinfo2(), for the first arena, in its order. */
const fields =
  /** @type {const} */
  ([
    'arena',
    'ordblks',
    'smblks',
    'hblks',
    'hblkhd',
    'usmblks',
    'fsmblks',
    'uordblks',
    'fordblks',
    'keepcost',
  ])

/**
 * Returns a function that tells how many bytes malloc has handed out of its heap; undefined where the C library cannot
 * tell. It covers the whole process only with MALLOC_ARENA_MAX=1.
 *
 * @returns {(() => number) | undefined}
 */
export function prepareMallocBytes() {
  if (process.platform !== 'linux' || process.env.MALLOC_ARENA_MAX !== '1') return undefined
  const Info = koffi.struct(Object.fromEntries(fields.map((field) => [field, 'size_t'])))
  try {
    const mallinfo2 = koffi.load(null).func('mallinfo2', Info, [])
    return () => Number(mallinfo2().uordblks)
  } catch {
    // musl has none
    return undefined
  }
}
