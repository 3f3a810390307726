/** Items in random order, drawn as they are asked for. Reorders the array. */
export function* draw<Item>(items: Item[], random: () => number): Generator<Item> {
  for (let i = 0; i < items.length; i++) {
    const at = i + Math.floor(random() * (items.length - i))
    const drawn = items[at]
    items[at] = items[i]
    items[i] = drawn
    yield drawn
  }
}
