/** The instruction that bounds how fast an ISA multiplies int8 exactly. */
export interface MultiplyUnit {
  instruction: string
  /** Multiply-adds of one. */
  macs: number
  /** How many of them a core starts per cycle: the most of any known core. */
  perCycle: number
}

/**
 * The multiply instruction in the loops of `dp_peak`, by ISA. There is none for `scalar`, where the compiler chooses.
 *
 * Rates: https://uops.info for x86, Arm's optimization guides of Neoverse V1 and V2 for Arm.
 */
export const multiplyUnits: Readonly<Record<string, MultiplyUnit>> = {
  amx: { instruction: 'tdpbusd', macs: 16 * 16 * 64, perCycle: 1 / 16 },
  avx512vnni: { instruction: 'vpdpbusd', macs: 64, perCycle: 2 },
  avxvnni: { instruction: 'vpdpbusd', macs: 32, perCycle: 2 },
  avx2: { instruction: 'vpmaddwd', macs: 16, perCycle: 2 },
  i8mm: { instruction: 'smmla', macs: 32, perCycle: 4 },
  dotprod: { instruction: 'sdot', macs: 16, perCycle: 4 },
  neon: { instruction: 'smull', macs: 8, perCycle: 2 },
  wasmrelaxed: { instruction: 'i32x4.relaxed_dot_i8x16_i7x16_add_s', macs: 16, perCycle: 4 },
  wasm: { instruction: 'i32x4.dot_i16x8_s', macs: 8, perCycle: 2 },
}
