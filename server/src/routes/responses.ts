import type { RouteContext } from '../context.js'
import { refuse } from '../errors.js'
import { requestedTextFormat } from '../format/requested-format.js'
import { complete, type Prepare } from '../generation/completion-request.js'
import { prepareConversation } from '../generation/conversation.js'
import { toMessages } from '../generation/input-items.js'
import { ResponseWriter } from '../generation/response-writer.js'
import { makeId, nowSeconds } from '../ids.js'
import { errorResponses, type GenerationBody, jsonOrEvents } from '../schemas/common.js'
import {
  type ResponseBody,
  ResponseBodySchema,
  type ResponseEvent,
  ResponseEventSchema,
  type ResponseObject,
  ResponseSchema,
} from '../schemas/responses.js'
import type { App } from './app.js'

/** POST /v1/responses */
export function addResponsesRoute(app: App, context: RouteContext): void {
  const schema = {
    summary:
      "Answers a conversation by items, written by the model's chat template; stores nothing",
    body: ResponseBodySchema,
    response: { 200: jsonOrEvents(ResponseSchema, ResponseEventSchema), ...errorResponses },
  }
  app.post('/v1/responses', { schema }, async (request, reply) => {
    const { body } = request
    return await complete(context, request, reply, {
      operation: 'chat',
      body: toGeneration(body),
      prepare: prepareResponse(body),
    })
  })
}

/** The fields that chats have, too. */
function toGeneration(body: ResponseBody): GenerationBody {
  const { text: _text, stream_options: _streamOptions, ...shared } = body
  return shared
}

function prepareResponse(body: ResponseBody): Prepare<ResponseEvent, ResponseObject> {
  refuseStored(body)
  const logprobs = readLogprobs(body)
  return async (name, model, signal) => {
    const { tools, tool_choice: choice, reasoning } = body
    const effort = reasoning?.effort
    const input = {
      field: 'input',
      messages: toMessages(body),
      calls: {
        tools: tools?.map(({ type, ...described }) => ({ type, function: described })),
        choice,
        areParallel: body.parallel_tool_calls,
        parametersField: (i: number) => `tools[${i}].parameters`,
      },
      content: requestedTextFormat(body),
      templateOptions: effort == null ? undefined : { enable_thinking: effort !== 'none' },
    }
    const conversation = await prepareConversation(name, model, input, signal)
    const { tokens, format, makeReader } = conversation
    const response = begin(name, body)
    const { tokenizer } = model
    const writer = new ResponseWriter({ response, tokenizer, reader: makeReader() })
    const options = { maxTokens: body.max_output_tokens ?? model.maxContext, logprobs }
    return { prompts: [tokens], options, format, writer }
  }
}

function refuseStored(body: ResponseBody): void {
  for (const field of ['previous_response_id', 'conversation'] as const) {
    if (body[field] == null) continue
    const problem = 'nothing is stored here; send the whole conversation as `input`'
    throw refuse(field, problem, 'unsupported_parameter')
  }
}

function readLogprobs({ include, top_logprobs: top }: ResponseBody): number | undefined {
  if (include?.includes('message.output_text.logprobs')) return top ?? 0
  if (top == null || top === 0) return undefined
  throw refuse('top_logprobs', 'only allowed with `message.output_text.logprobs` in `include`')
}

/** The response before the model has begun. */
function begin(model: string, body: ResponseBody): ResponseObject {
  return {
    id: makeId('resp'),
    object: 'response',
    created_at: nowSeconds(),
    completed_at: null,
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    model,
    output: [],
    usage: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    tools: (body.tools ?? []).map(({ type, name, description, parameters, strict }) => {
      const described = { description: description ?? null, parameters: parameters ?? null }
      return { type, name, ...described, strict: strict ?? false }
    }),
    tool_choice: body.tool_choice ?? 'auto',
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    text: { format: body.text?.format ?? { type: 'text' }, verbosity: 'medium' },
    reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
    temperature: body.temperature ?? 1,
    top_p: body.top_p ?? 1,
    presence_penalty: body.presence_penalty ?? 0,
    frequency_penalty: body.frequency_penalty ?? 0,
    top_logprobs: body.top_logprobs ?? 0,
    truncation: 'disabled',
    store: false,
    background: false,
    previous_response_id: null,
    service_tier: 'default',
    metadata: body.metadata ?? {},
    user: body.user ?? null,
    safety_identifier: body.safety_identifier ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
  }
}
