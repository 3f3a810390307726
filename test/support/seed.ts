import fc from 'fast-check'

/* The same cases on every run and machine; what a change breaks, it breaks at once. */
fc.configureGlobal({ seed: 20 })
