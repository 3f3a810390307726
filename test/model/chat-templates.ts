/*
 * Short chat templates with the constructs of the published ones: their loops, namespaces, slices, string methods,
 * filters, macros and tests.
 */

/** Qwen2.5 and Qwen3: ChatML, tools as JSON, no reasoning of past turns. */
export const chatMl = `{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- 'Functions:' }}
    {%- for tool in tools %}
        {{- '\\n' }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, question=messages | length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and not (message.content.startswith('<result>') and message.content.endswith('</result>')) %}
        {%- set ns.searching = false %}
        {%- set ns.question = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set thought = '' %}
        {%- if message.thought is defined and message.thought is not none %}
            {%- set thought = message.thought %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.question and thought %}
            {{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- content }}
        {%- for call in message.calls or [] %}
            {%- if (loop.first and content) or not loop.first %}
                {{- '\\n' }}
            {%- endif %}
            {{- '<call>' ~ call.name ~ ' ' ~ (call.arguments if call.arguments is string else call.arguments | tojson) ~ '</call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or messages[loop.index0 - 1].role != "tool" %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<result>' + message.content + '</result>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != "tool" %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
`

/** Llama 3: a header for each turn, the date in the first one. */
export const headers = `{% macro header(role, first=false) -%}
    {{ '\\n' if not first }}<|start_header_id|>{{ role }}<|end_header_id|>
{%- endmacro -%}
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = "" %}
{%- endif %}

{#- The system message #}
{{- header('system', first=true) }}
{{- "\\n\\nToday: " + date_string + "\\n" }}
{%- if tools is not none %}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
        {{- "\\n" }}
    {%- endfor %}
{%- endif %}
{{- system }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- header(message.role if message.role != 'tool' else 'ipython') + '\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- header('assistant') + '\\n\\n' }}
{%- endif %}
`

/** Llama 2 and Mistral: turns must alternate, without line breaks from the template. */
export const instructions = `{% if messages[0]['role'] == 'system' %}
{% set turns = messages[1:] %}
{% set system = messages[0]['content'].strip() + '\\n\\n' %}
{% else %}
{% set turns = messages %}
{% set system = '' %}
{% endif %}
{{ bos_token }}
{%- for message in turns %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}
{% if message['role'] == 'user' %}
{{- '[INST] ' + (system if loop.first else '') + message['content'] + ' [/INST]' }}
{%- elif message['role'] == 'assistant' %}
{{- ' ' + message['content'] | trim + eos_token }}
{%- endif %}
{% endfor %}`

/** Mistral with tools: the check of turns ignores tool calls and their results. */
export const calls = `{%- for message in messages | rejectattr("role", "equalto", "tool") | selectattr("tool_calls", "undefined") %}
    {%- if (message["role"] == "user") != (loop.index0 % 2 == 0) %}
        {{- raise_exception("Conversation roles must alternate") }}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.tool_calls is defined %}
        {{- "[CALLS] " + message.tool_calls | tojson }}
    {%- elif message["role"] == "user" %}
        {{- "[INST] " + message["content"] + "[/INST]" }}
    {%- else %}
        {{- " " + message["content"] + eos_token }}
    {%- endif %}
{%- endfor %}`

/** Hermes: tools declared as in Python. */
export const signatures = `{%- macro python(spec) %}
    {%- set types = { "string": "str", "number": "float", "integer": "int" } %}
    {%- if types[spec.type] is defined %}
        {{- types[spec.type] }}
    {%- elif spec.type == "array" %}
        {{- "list[" + python(spec | items) + "]" }}
    {%- elif spec.type is iterable %}
        {{- "Union[" }}
        {%- for type in spec.type %}
            {{- python({ "type": type }) + ("," if not loop.last else "") }}
        {%- endfor %}
        {{- "]" }}
    {%- else %}
        {{- "Any" }}
    {%- endif %}
{%- endmacro %}
{%- for tool in tools %}
    {{- tool.name + "(" }}
    {%- for name, spec in tool.parameters.properties | items %}
        {{- name + ": " + python(spec) + (", " if not loop.last else "") }}
    {%- endfor %}
    {{- ")" }}
{%- endfor %}
{%- for message in messages %}
    {{- "\\n" + message.role + ": " + message.content }}
{%- endfor %}`

/** Vision models: content in parts, or as one string. */
export const parted = `{%- for message in messages %}
    {{- message.role + ":" }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content %}
            {{- "<" + part.text + ">" }}
        {%- endfor %}
    {%- endif %}
    {{- ";" }}
{%- endfor %}`
