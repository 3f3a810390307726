import { defineConfig } from 'vitest/config'

// Tests run against the built package, as users get it: worker threads load files that Node can read.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 30_000,
  },
})
