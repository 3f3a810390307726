/**
 * Formats of JSON Schema's strings, as regular expressions: what they match has the format, but they need not match
 * all that has it. So there is no 29th of February, no leap second, and no quoted name in an address.
 */
export const stringFormats: Readonly<Record<string, string>> = (() => {
  const date =
    '\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))'
  const time = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)'
  const byte = '(\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])'
  const label = '[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?'
  const hex = (count: number) => `[0-9a-f]{${count}}`
  return {
    date: `^${date}$`,
    time: `^${time}$`,
    'date-time': `^${date}T${time}$`,
    uuid: `^${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}$`,
    ipv4: `^${byte}(\\.${byte}){3}$`,
    hostname: `^${label}(\\.${label}){0,5}$`,
    email: `^[a-z0-9_+-]{1,32}(\\.[a-z0-9_+-]{1,16}){0,3}@${label}(\\.${label}){1,4}$`,
  }
})()
