import type { Model } from 'dotpool'

/** Asks a question of each model once, and keeps the answer for as long as the model. A failure is no answer. */
export function oncePerModel<Answer>(
  ask: (model: Model) => Promise<Answer>,
): (model: Model) => Promise<Answer> {
  const known = new WeakMap<Model, Promise<Answer>>()
  return (model) => {
    const found = known.get(model)
    if (found !== undefined) return found
    const answer = ask(model)
    known.set(model, answer)
    answer.catch(() => known.delete(model))
    return answer
  }
}
