import type { ServedModel } from '../models/served-model.js'

/** Asks a question of each model once, and keeps the answer for as long as the model. A failure is no answer. */
export function oncePerModel<Answer>(
  ask: (model: ServedModel) => Promise<Answer>,
): (model: ServedModel) => Promise<Answer> {
  const known = new WeakMap<ServedModel, Promise<Answer>>()
  return (model) => {
    const found = known.get(model)
    if (found !== undefined) return found
    const answer = ask(model)
    known.set(model, answer)
    answer.catch(() => known.delete(model))
    return answer
  }
}
