import type { Model } from 'dotpool'

/** Asks a question of each model once, and keeps the answer for as long as the model. */
export function oncePerModel<Answer>(
  ask: (model: Model) => Promise<Answer>,
): (model: Model) => Promise<Answer> {
  const known = new WeakMap<Model, Promise<Answer>>()
  return (model) => {
    const found = known.get(model) ?? ask(model)
    known.set(model, found)
    return found
  }
}
