import type { ModelConfig } from '../config/config.js'
import { HEAD, layerName } from '../config/parameters.js'
import type { Workspace } from './workspace.js'

/** Whether an op works on all rows of a batch, or only on those whose logits, or whose hidden states, are wanted. */
export type Extent = 'rows' | 'outputs' | 'hidden'

/** What a multiplication takes: rows that a norm has made, or silu(x) * up, or x as it is. */
export type Source = { normed: 'rows' | 'outputs' } | { x: Float32Array; up?: Float32Array }

/** Writes down the ops of a step, one after the other. */
export interface StepWriter {
  /** residual = embedding[ids] */
  embed(): void
  /**
   * residual += delta, if `adds`; normed = norm(residual), for the linears named.
   *
   * @param name of the norm
   */
  norm(name: string, adds: boolean, takers: readonly string[], extent: 'rows' | 'outputs'): void
  /**
   * y = source W^T (+ bias)
   *
   * @param together it need not wait for the op before it
   */
  multiply(name: string, source: Source, y: Float32Array, together?: boolean): void
  /** q, k normed and rotated; k, v into their pages; attended = attention(q) */
  attend(layer: number): void
  /** What shall become of the logits. */
  sample(): void
  /** hidden = norm(residual + delta) */
  hidden(name: string): void
}

/**
 * The decoders of the Llama family, which differ in biases and in the norms of q and k only:
 *
 *   x = embedding[ids]
 *   each layer:  x += attention(norm(x)) W^T,  x += (silu(norm(x) W^T) * norm(x) W^T) W^T
 *   hidden = norm(x),  logits = norm(x) W^T
 */
export function writeForward(config: ModelConfig, workspace: Workspace, writer: StepWriter): void {
  writer.embed()
  for (let i = 0; i < config.numHiddenLayers; i++) writeLayer(i, workspace, writer)
  writer.norm('model.norm', true, [HEAD], 'outputs')
  writer.multiply(HEAD, { normed: 'outputs' }, workspace.logits)
  writer.sample()
  writer.hidden('model.norm')
}

function writeLayer(i: number, workspace: Workspace, writer: StepWriter): void {
  const { delta, q, k, v, attended, gate, up } = workspace
  const layer = layerName(i)
  const qkv = ['q', 'k', 'v'].map((name) => `${layer}.self_attn.${name}_proj`)
  const gateUp = ['gate', 'up'].map((name) => `${layer}.mlp.${name}_proj`)
  writer.norm(`${layer}.input_layernorm`, i > 0, qkv, 'rows')
  writer.multiply(qkv[0], { normed: 'rows' }, q)
  writer.multiply(qkv[1], { normed: 'rows' }, k, true)
  writer.multiply(qkv[2], { normed: 'rows' }, v, true)
  writer.attend(i)
  writer.multiply(`${layer}.self_attn.o_proj`, { x: attended }, delta)
  writer.norm(`${layer}.post_attention_layernorm`, true, gateUp, 'rows')
  writer.multiply(gateUp[0], { normed: 'rows' }, gate)
  writer.multiply(gateUp[1], { normed: 'rows' }, up, true)
  writer.multiply(`${layer}.mlp.down_proj`, { x: gate, up }, delta)
}
