import { refuse } from '../errors.js'

/** A part of a list, as OpenAI's API has it. */
export interface Page<Item> {
  readonly object: 'list'
  readonly data: Item[]
  readonly first_id: string | null
  readonly last_id: string | null
  /** Whether there are items after it. */
  readonly has_more: boolean
}

/**
 * The items after the one of an id, or the first.
 *
 * @throws ApiError if there is no such item
 */
export function page<Item extends { id: string }>(
  items: readonly Item[],
  after: string | null | undefined,
  limit: number,
): Page<Item> {
  const before = after == null ? -1 : items.findIndex(({ id }) => id === after)
  if (after != null && before < 0) throw refuse('after', 'there is nothing of this id in the list')
  const data = items.slice(before + 1, before + 1 + limit)
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: before + 1 + limit < items.length,
  }
}
