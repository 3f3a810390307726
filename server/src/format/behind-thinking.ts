import type { ServedModel } from '../models/served-model.js'
import { oncePerModel } from '../text/once-per-model.js'
import { probeTemplate } from '../text/probe-template.js'
import { beginsThinking, CLOSE, endsThinking, OPEN } from '../text/thinking.js'
import { anyOf, type FormatPart, given, literal, sequenceOf } from './format-part.js'

const space = given({ type: 'regex', regex: '[ \\n]{0,4}' })

/** The format of an answer whose model thinks first, about which the format says nothing. */
export async function behindThinking(
  part: FormatPart,
  prompt: string,
  model: ServedModel,
): Promise<FormatPart> {
  const thought = given({ type: 'text', without: CLOSE })
  const rest = sequenceOf(thought, literal(CLOSE), space, part)
  if (beginsThinking(prompt)) return rest
  if (endsThinking(prompt) || !(await mayThink(model))) return part
  return anyOf([part, sequenceOf(literal(OPEN), rest)])
}

/** Whether a model thinks unless its template is told otherwise, as Qwen3 does. */
const mayThink = oncePerModel(probe)

async function probe({ chatTemplate }: ServedModel): Promise<boolean> {
  const messages = [{ role: 'user' as const, content: 'probe' }]
  const options = { templateOptions: { enable_thinking: false } }
  return endsThinking(await probeTemplate(chatTemplate, messages, options))
}
