import {
  ArgumentError,
  type ChatMessage,
  type ChatTemplate,
  FormatError,
  type RenderOptions,
} from 'dotpool'

/**
 * What a template makes of a conversation; nothing if it refuses it.
 *
 * @throws where it was not the template's fault, such as a DeadlineError on a machine that is too busy
 */
export async function probeTemplate(
  template: ChatTemplate,
  conversation: readonly ChatMessage[],
  options: RenderOptions,
): Promise<string> {
  try {
    return await template.renderAsync(conversation, options)
  } catch (error) {
    if (error instanceof ArgumentError || error instanceof FormatError) return ''
    throw error
  }
}
