import type { RouteContext } from '../context.js'
import { refuse } from '../errors.js'
import { promptsOf, tokensOf } from '../generation/prompts.js'
import { RequestWork } from '../generation/request-work.js'
import { errorResponses } from '../schemas/common.js'
import { type Embeddings, EmbeddingsBodySchema, EmbeddingsSchema } from '../schemas/embeddings.js'
import type { App } from './app.js'

/** POST /v1/embeddings */
export function addEmbeddingsRoute(app: App, context: RouteContext): void {
  const schema = {
    summary: 'Embeds texts, or tokens: vectors of length 1 whose products tell how alike they are',
    body: EmbeddingsBodySchema,
    response: { 200: EmbeddingsSchema, ...errorResponses },
  }
  app.post('/v1/embeddings', { schema }, async (request, reply) => {
    const { input, encoding_format: format, dimensions } = request.body
    const work = new RequestWork(context, request, reply, 'embeddings', request.body)
    const { signal } = work
    try {
      const model = await work.model()
      const texts: ArrayLike<number>[] = []
      const given = promptsOf(input)
      for (const [i, text] of given.entries()) {
        const field = given.length === 1 ? 'input' : `input[${i}]`
        if (text.length === 0) throw refuse(field, 'expected a text, or tokens, that is not empty')
        texts.push(await tokensOf(model, { field, room: 0 }, text, signal))
      }
      const options = { dimensions: dimensions ?? undefined, signal }
      const vectors = await model.embed(texts, options, work.origin)
      const tokens = texts.reduce((sum, { length }) => sum + length, 0)
      const answer: Embeddings = {
        object: 'list',
        data: vectors.map((vector, index) => {
          const embedding = format === 'base64' ? toBase64(vector) : [...vector]
          return { object: 'embedding', index, embedding }
        }),
        model: work.name,
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      }
      work.record.embedded(answer.usage)
      work.finish()
      return answer
    } catch (error) {
      return work.fail(error)
    }
  })
}

function toBase64({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}
