/** What the server is started with: bounds that few requests reach. */
export const settings = {
  maxContext: 256,
  maxQueue: 8,
  maxChoices: 4,
  apiKeys: ['key'],
  bodyLimit: 1 << 16,
  drainSeconds: 5,
  pingSeconds: 0.05,
}
