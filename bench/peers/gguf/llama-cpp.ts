import { getLlama, LlamaLogLevel, type Token } from 'node-llama-cpp'

/**
 * The logits after each token of windows of a text by llama.cpp: row by row, float32 [vocabSize] each. With a float32
 * cache of keys and values.
 */
export async function* llamaCppLogits(
  file: string,
  windows: readonly Uint32Array[],
  vocabSize: number,
): AsyncGenerator<Float32Array[], void, void> {
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error })
  const model = await llama.loadModel({ modelPath: file })
  const context = await model.createContext({
    contextSize: windows[0].length + 2,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  })
  const sequence = context.getSequence()
  for (const window of windows) {
    await sequence.clearHistory()
    const rows: Float32Array[] = []
    const input = [...window] as Token[]
    await sequence.controlledEvaluate(
      input.map((token) => [token, { generateNext: { logits: true } }]),
      {
        onTokenResult: (i, { next }) => {
          const row = new Float32Array(vocabSize)
          for (const [token, logit] of next.logits ?? []) row[token] = logit
          rows[i] = row
        },
      },
    )
    yield rows
  }
  await model.dispose()
  await llama.dispose()
}
