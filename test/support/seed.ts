import fc from 'fast-check'

/* Generates the same cases in every run and on every machine, so that a change that breaks one fails at once. */
fc.configureGlobal({ seed: 20 })
