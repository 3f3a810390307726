import { mutatedBytes, mutatedText } from './mutate.js'
import { useTextFiles } from './texts.js'

const templates = [
  `{%- for message in messages %}{% if loop.first and message.role == 'system' %}
{{- '<|' + message['role'] + '|>' + message.content | trim }}{% else %}{{ message.content[0:3] }}{% endif %}
{%- endfor %}{% set n = namespace(x=1) %}{% if add_generation_prompt %}{{ n.x ~ bos_token }}{% endif %}`,
  `{%- if tools %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}
{%- for message in messages[::-1] %}{% set index = (messages | length - 1) - loop.index0 %}
{%- if message.content is string and '</think>' in message.content %}
{{- message.content.split('</think>')[0].rstrip('\\n').lstrip() }}{% else %}
{{- message.content if message.content is string else message.content | map(attribute='text') | join(' ') }}
{%- endif %}{% endfor %}`,
  `{% macro m(a, b='x') %}{{ a | upper ~ b }}{% endmacro %}{% for m in messages if m.role != 'system' %}
{{- loop.index }}{{ m.tool_calls[0].function.arguments | tojson if m.tool_calls }}{{ m.role | title | replace('U', 'u') }}{% if m.calls is defined %}{{ raise_exception('no') }}
{%- endif %}{% endfor %}{{ strftime_now('%Y') | length }}{{ [1, [2]] | join }}{{ {'a': 1}.items() | list }}`,
]

const pieces = [
  ...templates.flatMap((text) => text.split(/(\{[{%].*?[%}]\}|\||\.|\(|\)| )/s)),
  ...[
    '{% for x in range(3) %}',
    '{% endfor %}',
    '{{ messages | tojson }}',
    '{{ x.y.z }}',
    '{{ tools }}',
    '{{ documents | tojson }}',
    '.tool_calls',
    ' == messages[0]',
    ' | trim',
    '{% break %}',
  ],
  ...[
    '{% generation %}',
    '{{ 1 // 0 }}',
    "{{ 'a' * 3 }}",
    '{# a #}',
    '{% raw %}',
    ' not ',
    ' is none',
    '[-1]',
  ],
  ...[
    "['role']",
    '.items()',
    '.strip()',
    ' | sort',
    ' | selectattr("role", "equalto", "user")',
    ' | int',
  ],
  ...[
    ' ~ ',
    ' - 1',
    ' and ',
    ' in ',
    '**kwargs',
    '"',
    "'",
    '{%- call m(1) %}',
    '{% filter upper %}',
  ],
]

/** @type {import('./target.js').Target} */
export const template = {
  name: 'template',
  generate(random) {
    let text = random.pick(templates)
    for (let changes = random.below(4); changes > 0; changes--)
      text = mutatedText(random, text, pieces)
    return random.chance(1 / 16) ? mutatedBytes(random, Buffer.from(text)) : Buffer.from(text)
  },
  open: (bytes) => useTextFiles({ template: bytes }),
}
