/** Returns the machine code of the functions in a perf jitdump file whose names match. */
export function codeInJitDump(/** @type {Buffer} */ dump, /** @type {RegExp} */ named) {
  /** @type {Buffer[]} */
  const found = []
  const headerBytes = dump.readUInt32LE(8)
  for (let at = headerBytes; at < dump.length; at += dump.readUInt32LE(at + 4)) {
    if (dump.readUInt32LE(at) !== CODE_LOAD) continue
    const end = dump.indexOf(0, at + NAME)
    if (!named.test(dump.toString('latin1', at + NAME, end))) continue
    found.push(dump.subarray(end + 1, end + 1 + Number(dump.readBigUInt64LE(at + SIZE))))
  }
  return found
}

/* A record: its kind, bytes and time; of JIT_CODE_LOAD then pid, tid, two addresses, the size, an index, the name. */
const CODE_LOAD = 0
const SIZE = 40
const NAME = 56
