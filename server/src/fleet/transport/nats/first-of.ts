/** What comes of the first choice that does not fail. @throws why the last has failed */
export async function firstOf<Choice, Result>(
  choices: readonly Choice[],
  attempt: (choice: Choice) => Promise<Result>,
): Promise<Result> {
  const [choice, ...others] = choices
  if (others.length === 0) return await attempt(choice)
  try {
    return await attempt(choice)
  } catch {
    return await firstOf(others, attempt)
  }
}
