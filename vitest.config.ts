import { defineConfig } from 'vitest/config'

// Tests run against the built package, as users get it: worker threads load files that Node can read.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'server/test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    pool: 'forks',
    maxWorkers: 2,
    // no process for each file: to start one takes longer than most need, and they leave nothing behind
    isolate: false,
    setupFiles: ['test/support/seed.ts'],
    // what a busy machine may take; none needs as much as a second by itself
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
