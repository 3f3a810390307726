import fc from 'fast-check'

/** Bodies of requests, right and wrong: fields that there are, with values of any kind. */

const anything = fc.anything({ maxDepth: 2, withNullPrototype: false })
const text = fc.oneof(fc.string({ maxLength: 8 }), fc.constant('ROMEO:'), fc.constant('\ud800'))
const tokens = fc.array(fc.oneof(fc.nat(3000), fc.integer(), fc.double()), { maxLength: 5 })

const messages = fc.array(
  fc.record(
    {
      role: fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool', 'nobody'),
      content: fc.oneof(
        text,
        fc.constant(null),
        fc.array(fc.record({ type: fc.constantFrom('text', 'image_url'), text })),
        anything,
      ),
      name: fc.oneof(text, anything),
      tool_calls: fc.oneof(
        fc.array(fc.record({ function: fc.record({ name: text, arguments: text }) })),
        anything,
      ),
    },
    { requiredKeys: ['role'] },
  ),
  { maxLength: 3 },
)

const items = fc.array(
  fc.oneof(
    fc.record({
      role: fc.constantFrom('system', 'user', 'assistant', 'nobody'),
      content: fc.oneof(
        text,
        fc.array(fc.record({ type: fc.constantFrom('input_text', 'input_image'), text })),
        anything,
      ),
    }),
    fc.record(
      {
        type: fc.constantFrom('message', 'function_call', 'function_call_output', 'reasoning'),
        call_id: fc.constantFrom('a', 'b'),
        name: text,
        arguments: fc.oneof(fc.constant('{}'), text),
        output: text,
        content: fc.array(fc.record({ type: fc.constant('reasoning_text'), text })),
      },
      { requiredKeys: ['type'] },
    ),
    anything,
  ),
  { maxLength: 3 },
)

/** Good values, and such at the border of what is good. */
const fields: Record<string, fc.Arbitrary<unknown>> = {
  model: fc.constantFrom('model', 'nobody'),
  stream: fc.boolean(),
  stream_options: fc.record({ include_usage: fc.boolean() }),
  n: fc.integer({ min: -1, max: 10 }),
  max_completion_tokens: fc.integer({ min: -1, max: 2 }),
  stop: fc.oneof(text, fc.array(text, { maxLength: 3 })),
  temperature: fc.double(),
  top_p: fc.double({ min: -0.1, max: 1.1 }),
  top_k: fc.integer({ min: -2, max: 5 }),
  min_p: fc.double({ min: -0.1, max: 1.1 }),
  repetition_penalty: fc.double(),
  frequency_penalty: fc.double({ min: -3, max: 3 }),
  presence_penalty: fc.double({ min: -3, max: 3 }),
  logit_bias: fc.dictionary(
    fc.oneof(fc.nat(3000).map(String), text),
    fc.double({ min: -101, max: 101 }),
  ),
  seed: fc.oneof(fc.nat(), fc.maxSafeInteger()),
  ignore_eos: fc.boolean(),
  response_format: fc.record(
    {
      type: fc.constantFrom('text', 'json_object', 'json_schema'),
      json_schema: fc.record({ name: text, schema: fc.object({ maxDepth: 2 }) }),
    },
    { requiredKeys: ['type'] },
  ),
  structured_outputs: fc.record(
    { json: fc.oneof(text, fc.object()), regex: text, choice: fc.array(text), grammar: text },
    { requiredKeys: [] },
  ),
  logprobs: fc.oneof(fc.boolean(), fc.integer({ min: -1, max: 21 })),
  top_logprobs: fc.integer({ min: -1, max: 21 }),
  tools: fc.array(
    fc.record({
      type: fc.constantFrom('function', 'web'),
      function: fc.record(
        { name: text, parameters: fc.object({ maxDepth: 1 }), strict: fc.boolean() },
        { requiredKeys: [] },
      ),
    }),
    { maxLength: 2 },
  ),
  tool_choice: fc.constantFrom('none', 'auto', 'required'),
  parallel_tool_calls: fc.boolean(),
  chat_template_kwargs: fc.oneof(
    fc.constant({ enable_thinking: true }),
    fc.object({ maxDepth: 1 }),
  ),
  echo: fc.boolean(),
  instructions: text,
  reasoning: fc.record({ effort: fc.constantFrom('none', 'medium', 'high') }),
  include: fc.array(fc.constantFrom('message.output_text.logprobs', 'other'), { maxLength: 2 }),
  encoding_format: fc.constantFrom('float', 'base64', 'int8'),
  dimensions: fc.integer({ min: -1, max: 70 }),
  content: text,
  tokens,
  add_generation_prompt: fc.boolean(),
}

const any = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .dictionary(fc.constantFrom(...Object.keys(fields)), fc.nat(), { maxKeys: 4 })
      .chain((some) =>
        fc.record(Object.fromEntries(Object.keys(some).map((name) => [name, fields[name]]))),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.dictionary(fc.constantFrom(...Object.keys(fields)), anything, { maxKeys: 3 }),
  },
  { weight: 1, arbitrary: fc.object({ maxDepth: 2 }) },
)
const prompt = fc.oneof(
  text,
  fc.array(text, { maxLength: 3 }),
  tokens,
  fc.array(tokens, { maxLength: 3 }),
  anything,
)

const requests = {
  '/v1/chat/completions': fc.record({ messages }),
  '/v1/completions': fc.record({ prompt }),
  '/v1/responses': fc.record({ input: fc.oneof(text, items) }),
  '/v1/embeddings': fc.record({ input: prompt }),
  '/tokenize': fc.oneof(fc.record({ prompt }), fc.record({ messages }), fc.constant({})),
  '/detokenize': fc.record({ tokens }),
  '/apply-template': fc.record({ messages }),
}

/** What keeps answers short. */
const small: Partial<Record<keyof typeof requests, object>> = {
  '/v1/chat/completions': { max_completion_tokens: 2 },
  '/v1/completions': { max_tokens: 2 },
  '/v1/responses': { max_output_tokens: 2 },
}

/** A route, and a body in JSON, mostly one that is nearly right for it. */
export const request: fc.Arbitrary<{ path: string; body: string }> = fc
  .constantFrom(...(Object.keys(requests) as (keyof typeof requests)[]))
  .chain((path) => {
    const body = fc.tuple(requests[path], any).map(([own, others]) => {
      return JSON.stringify({ ...small[path], ...others, ...own }) ?? ''
    })
    return fc.record({
      path: fc.constant(path as string),
      body: fc.oneof({ weight: 12, arbitrary: body }, { weight: 1, arbitrary: fc.string() }),
    })
  })
