import { FormatError } from '../../errors.js'
import { type Fields, show } from '../json/fields.js'

/**
 * How angles grow with positions, by the name in `rope_type`. Lengths are in positions; `theta` is the base whose
 * powers are the wavelengths.
 */
export type RopeConfig = DefaultRope | LinearRope | DynamicRope | Llama3Rope | YarnRope | LongRope

/** What all kinds have. */
export interface RopeParameters<Type extends string> {
  readonly type: Type
  readonly theta: number
}

/** https://arxiv.org/abs/2104.09864 unchanged. */
export type DefaultRope = RopeParameters<'default'>

/** Positions divided by `factor`, https://arxiv.org/abs/2306.15595 */
export interface LinearRope extends RopeParameters<'linear'> {
  readonly factor: number
}

/** NTK-aware: theta grows with the length of the sequence, once that exceeds the original one. */
export interface DynamicRope extends RopeParameters<'dynamic'> {
  readonly factor: number
  readonly originalMaxPositionEmbeddings: number
}

/** Llama 3.1: long waves are divided by `factor`, short ones stay, those between are blended. */
export interface Llama3Rope extends RopeParameters<'llama3'> {
  readonly factor: number
  readonly originalMaxPositionEmbeddings: number
  /** Waves longer than the original length divided by this are long. */
  readonly lowFreqFactor: number
  /** Waves shorter than the original length divided by this are short. */
  readonly highFreqFactor: number
}

/** https://arxiv.org/abs/2309.00071 */
export interface YarnRope extends RopeParameters<'yarn'> {
  readonly factor: number
  readonly originalMaxPositionEmbeddings: number
  /** The factor of cosines and sines; by default it follows from `factor` and the two mscales. */
  readonly attentionFactor: number | undefined
  readonly mscale: number | undefined
  readonly mscaleAllDim: number | undefined
  /** Pairs with more rotations than this over the original length stay as they are. */
  readonly betaFast: number
  /** Pairs with fewer rotations than this are divided by `factor`. */
  readonly betaSlow: number
  /** Whether the bounds of the blend are rounded outwards to whole pairs. */
  readonly truncate: boolean
}

/**
 * Each frequency is divided by a factor of its own, https://arxiv.org/abs/2402.13753; the same factors for short and
 * long texts.
 */
export interface LongRope extends RopeParameters<'longrope'> {
  /** One for each pair of a head. */
  readonly factors: readonly number[]
}

/**
 * Reads RoPE's parameters: flat with `rope_scaling` in older files, under `rope_parameters` in newer
 * ones.
 *
 * @param file named in errors
 * @param fields of config.json
 * @throws FormatError, by name for a type that this version does not know
 */
export function parseRope(file: string, fields: Fields): RopeConfig {
  const parameters = fields.object('rope_scaling') ?? fields.object('rope_parameters') ?? fields
  for (const part of [fields, parameters]) part.only('partial_rotary_factor', 1, undefined)
  const theta = parameters.above('rope_theta', 1, fields.above('rope_theta', 1, 10_000))
  const type = ropeType(fields, parameters)
  if (type === 'default') return { type, theta }

  const original = () =>
    parameters.integer('original_max_position_embeddings', 1, originalLength(fields))
  switch (type) {
    case 'linear':
      return { type, theta, factor: parameters.above('factor', 0) }
    case 'dynamic':
      return {
        type,
        theta,
        factor: parameters.above('factor', 0),
        originalMaxPositionEmbeddings: fields.integer('max_position_embeddings', 1),
      }
    case 'llama3':
      return parseLlama3(file, theta, original(), parameters)
    case 'yarn':
      return parseYarn(fields, theta, original(), parameters)
    case 'longrope':
      return parseLongRope(file, theta, parameters)
    default: {
      const known = 'default, linear, dynamic, llama3, yarn, longrope'
      throw new FormatError(file, `rope_type ${show(type)} is not supported, only ${known}`)
    }
  }
}

/**
 * The most positions that this kind of RoPE is made for. Files differ in whether `max_position_embeddings` is the
 * length before or after stretching.
 */
export function contextLength(rope: RopeConfig, maxPositionEmbeddings: number): number {
  if (rope.type !== 'dynamic' && rope.type !== 'yarn') return maxPositionEmbeddings
  const stretched = Math.floor(rope.factor * rope.originalMaxPositionEmbeddings)
  return Math.max(maxPositionEmbeddings, stretched)
}

function ropeType(fields: Fields, parameters: Fields): unknown {
  if (parameters === fields) return 'default'
  const type = parameters.values.rope_type ?? parameters.values.type
  // refuses an unknown kind of stretching instead of ignoring it
  if (type === undefined) parameters.only('factor', undefined)
  return type ?? 'default'
}

function originalLength(fields: Fields): number {
  const trained = fields.integer('max_position_embeddings', 1)
  return fields.integer('original_max_position_embeddings', 1, trained)
}

function parseLlama3(
  file: string,
  theta: number,
  originalMaxPositionEmbeddings: number,
  parameters: Fields,
): Llama3Rope {
  const lowFreqFactor = parameters.above('low_freq_factor', 0)
  const highFreqFactor = parameters.above('high_freq_factor', 0)
  if (highFreqFactor <= lowFreqFactor) {
    const problem = `high_freq_factor ${highFreqFactor} is not above low_freq_factor ${lowFreqFactor}`
    throw new FormatError(file, problem)
  }
  const factor = parameters.above('factor', 0)
  return {
    type: 'llama3',
    theta,
    factor,
    originalMaxPositionEmbeddings,
    lowFreqFactor,
    highFreqFactor,
  }
}

function parseLongRope(file: string, theta: number, parameters: Fields): LongRope {
  parameters.only('attention_factor', 1)
  const [factors, long] = ['short_factor', 'long_factor'].map((key) => parameters.list(key))
  const isFactor = (factor: unknown) => Number.isFinite(factor) && (factor as number) > 0
  if (!factors.every((factor, i) => isFactor(factor) && factor === long[i])) {
    throw new FormatError(file, 'longrope needs the same positive short_factor and long_factor')
  }
  return { type: 'longrope', theta, factors: factors as number[] }
}

function parseYarn(
  fields: Fields,
  theta: number,
  originalMaxPositionEmbeddings: number,
  parameters: Fields,
): YarnRope {
  const stretch = fields.integer('max_position_embeddings', 1) / originalMaxPositionEmbeddings
  return {
    type: 'yarn',
    theta,
    factor: parameters.above('factor', 0, stretch),
    originalMaxPositionEmbeddings,
    attentionFactor: parameters.optional('attention_factor'),
    mscale: parameters.optional('mscale'),
    mscaleAllDim: parameters.optional('mscale_all_dim'),
    betaFast: parameters.above('beta_fast', 0, 32),
    betaSlow: parameters.above('beta_slow', 0, 1),
    truncate: parameters.boolean('truncate', true),
  }
}
