/**
 * A date as Python's strftime writes it in the C locale, with the directives that chat templates use.
 *
 * @param format e.g. `%d %b %Y`; times are local
 * @throws Error naming a directive that is not among them
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)(.?)/gsu, (spelling, flag: string, directive: string) => {
    const value = values[directive]?.(date)
    if (value === undefined) throw new Error(`strftime: ${spelling} is not supported`)
    return flag === '-' ? value.replace(/^0+(?=\d)/, '') : value
  })
}

const values: Record<string, (date: Date) => string> = {
  '%': () => '%',
  Y: (date) => String(date.getFullYear()),
  y: (date) => twoDigits(date.getFullYear() % 100),
  m: (date) => twoDigits(date.getMonth() + 1),
  B: (date) => name(date, { month: 'long' }),
  b: (date) => name(date, { month: 'short' }),
  d: (date) => twoDigits(date.getDate()),
  A: (date) => name(date, { weekday: 'long' }),
  a: (date) => name(date, { weekday: 'short' }),
  H: (date) => twoDigits(date.getHours()),
  I: (date) => twoDigits(date.getHours() % 12 || 12),
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  M: (date) => twoDigits(date.getMinutes()),
  S: (date) => twoDigits(date.getSeconds()),
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

function name(date: Date, field: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat('en-US', field).format(date)
}
