import { describe, expect, it } from 'vitest'
import { strftime } from '#src/model/text/thread/strftime.js'

const date = new Date(2025, 8, 4, 0, 5, 9) // a Thursday

describe('strftime', () => {
  it.each([
    ['%d %b %Y', '04 Sep 2025'],
    ['%A, %B %-d, %Y', 'Thursday, September 4, 2025'],
    ['%a %y-%m-%d %H:%M:%S', 'Thu 25-09-04 00:05:09'],
    ['%I %p, 100 %%', '12 AM, 100 %'],
    ['%-H', '0'],
  ])('%s', (format, expected) => {
    expect(strftime(date, format)).toBe(expected)
  })

  it('writes English names of months, whatever the locale', () => {
    const months = Array.from({ length: 12 }, (_, m) => strftime(new Date(2025, m), '%b'))
    expect(months.join(' ')).toBe('Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec')
  })

  it('refuses unknown directives', () => {
    expect(() => strftime(date, '%d %Z')).toThrow('%Z is not supported')
    expect(() => strftime(date, '100 %')).toThrow('% is not supported')
  })
})
