import type { Json, JsonPath } from '../../json/copy-json.js'
import type { ResponseFormat } from '../response-format.js'
import { ebnfExpression } from './ebnf.js'
import {
  characters,
  choice,
  type Expression,
  Rule,
  repeat,
  ruleOf,
  sequence,
  text,
} from './expression.js'
import { schemaExpression } from './json-schema.js'
import { anyObject } from './json-text.js'
import { plainly, regexExpression } from './regex.js'
import { textWithout } from './text-without.js'

/**
 * The rule of texts that have a format.
 *
 * @throws ArgumentError for one that is wrong, or cannot be enforced
 */
export function formatRule(format: ResponseFormat): Rule {
  const rule = new Rule('response format')
  rule.body = write(format, ['responseFormat'])
  return rule
}

function write(format: ResponseFormat, path: JsonPath): Expression {
  switch (format.type) {
    case 'text':
      return format.without === undefined ? anyText : textWithout(format.without)
    case 'json_object':
      return anyObject
    case 'json_schema':
      return schemaExpression(format.schema as Json, [...path, 'schema'])
    case 'regex': {
      const argument = [...path, 'regex'].join('.')
      return regexExpression(format.regex, { argument, spell: plainly, around: undefined })
    }
    case 'grammar':
      return ebnfExpression(format.grammar, [...path, 'grammar'].join('.'))
    case 'choice':
      return choice(format.choices.map(text))
    case 'sequence':
      return sequence(...format.formats.map((inner, i) => write(inner, [...path, 'formats', i])))
    case 'any_of':
      return choice(format.formats.map((inner, i) => write(inner, [...path, 'formats', i])))
    case 'repeat': {
      const { min = 0, max = Infinity } = format
      const rule = new Rule('repeated')
      rule.body = write(format.format, [...path, 'format'])
      return repeat(ruleOf(rule), min, max)
    }
  }
}

const anyText = repeat(characters([0, 0x10ffff]), 0, Infinity)
