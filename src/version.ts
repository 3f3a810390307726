/** The package's version, as package.json has it, which a bundle would not find. */
export const version = '0.1.0'
