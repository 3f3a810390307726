/**
 * What there is more of than before, by kinds: numbers of sockets and the like are left out.
 *
 * @param {string} what
 * @param {readonly string[]} before
 * @param {readonly string[]} after
 */
export function leftProblems(what, before, after) {
  const were = countKinds(before)
  return [...countKinds(after)].flatMap(([kind, count]) => {
    const more = count - (were.get(kind) ?? 0)
    return more > 0 ? [`${more} ${what} are left: ${kind}`] : []
  })
}

/** @param {readonly string[]} links */
function countKinds(links) {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const link of links) {
    const kind = link.replace(/\d+/g, '#')
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}
