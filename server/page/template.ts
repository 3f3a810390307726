import { type Server, ServerError } from './server.js'

/** What can be had of a model by its chat template. */
export interface Template {
  /** Without a template, a model continues a text. */
  readonly chats: boolean
  /** Whether it lets a request choose if the model thinks first. */
  readonly canThink: boolean
}

/** Finds out by conversations that it writes: with thinking and without. */
export async function readTemplate(server: Server, model: string): Promise<Template> {
  const write = async (enable_thinking: boolean): Promise<string> => {
    const messages = [{ role: 'user', content: 'Hello' }]
    const body = { model, messages, chat_template_kwargs: { enable_thinking } }
    const response = await server.post('apply-template', body)
    return (await response.json()).prompt
  }
  try {
    return { chats: true, canThink: (await write(true)) !== (await write(false)) }
  } catch (error) {
    if (error instanceof ServerError && error.status === 400)
      return { chats: false, canThink: false }
    throw error
  }
}
