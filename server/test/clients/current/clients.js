export { createOpenAICompatible } from '@ai-sdk/openai-compatible'
export { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
export * as ai from 'ai'
export { OpenAI } from 'openai'
