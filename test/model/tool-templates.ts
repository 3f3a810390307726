/*
 * Chat templates in short, as the published ones treat tools, calls, their results and variables. A text beside each
 * is what Jinja 3.1 for Python writes, set up as transformers sets it up (`trim_blocks`, `lstrip_blocks`, its `tojson`),
 * from the `conversation`, `tools` and `variables` here.
 */
import type { ChatMessage } from '#src/model/text/chat-messages.js'
import type { FunctionTool } from '#src/model/text/template-inputs.js'

export const tools: FunctionTool[] = [
  {
    type: 'function',
    function: {
      name: 'weather',
      description: 'The "weather" <today>',
      parameters: {
        type: 'object',
        properties: {
          city: { type: 'string', description: 'é.g. Rome' },
          days: { type: 'integer' },
        },
        required: ['city'],
      },
    },
  },
]

export const conversation: ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Rain?' },
  {
    role: 'assistant',
    content: '',
    reasoning_content: 'Where?\n',
    tool_calls: [
      {
        id: 'abcdefghi',
        type: 'function',
        function: { name: 'weather', arguments: { city: 'Rome', days: 2 } },
      },
    ],
  },
  { role: 'tool', tool_call_id: 'abcdefghi', name: 'weather', content: '{"rain": true}' },
]

export const variables = {
  enable_thinking: false,
  documents: [{ title: 'A', text: 'B' }],
}

interface Golden {
  name: string
  template: string
  text: string
}

/** As Qwen3: arguments as they are if they are a text, thoughts of the turn that goes on. */
const qwen: Golden = {
  name: 'Qwen3',
  template: `{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(last_query=0) %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {%- set ns.last_query = loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "user" %}
        {{- '<|im_start|>user\\n' + content + '<|im_end|>\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thoughts = message.reasoning_content if message.reasoning_content is string else '' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.last_query and thoughts %}
            {{- '<think>\\n' + thoughts.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + content + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}`,
  text: [
    '<|im_start|>system\n',
    'Be brief.\n',
    '\n',
    '<tools>\n',
    '{"type": "function", "function": {"name": "weather", "description": "The \\"weather\\" <today>", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "é.g. Rome"}, "days": {"type": "integer"}}, "required": ["city"]}}}\n',
    '</tools><|im_end|>\n',
    '<|im_start|>user\n',
    'Rain?<|im_end|>\n',
    '<|im_start|>assistant\n',
    '<think>\n',
    'Where?\n',
    '</think>\n',
    '\n',
    '<tool_call>\n',
    '{"name": "weather", "arguments": {"city": "Rome", "days": 2}}\n',
    '</tool_call><|im_end|>\n',
    '<|im_start|>user\n',
    '<tool_response>\n',
    '{"rain": true}\n',
    '</tool_response><|im_end|>\n',
    '<|im_start|>assistant\n',
    '<think>\n',
    '\n',
    '</think>\n',
    '\n',
  ].join(''),
}

/** As Llama 3.1: one call at most, tools indented before the question, results for ipython. */
const llama: Golden = {
  name: 'Llama 3.1',
  template: `{{- bos_token }}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" + system_message + "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- set first_user_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}
            {{- raise_exception("only single tool-calls") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- else %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}`,
  text: [
    '<s><|start_header_id|>system<|end_header_id|>\n',
    '\n',
    'Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n',
    '\n',
    '{\n',
    '    "type": "function",\n',
    '    "function": {\n',
    '        "name": "weather",\n',
    '        "description": "The \\"weather\\" <today>",\n',
    '        "parameters": {\n',
    '            "type": "object",\n',
    '            "properties": {\n',
    '                "city": {\n',
    '                    "type": "string",\n',
    '                    "description": "é.g. Rome"\n',
    '                },\n',
    '                "days": {\n',
    '                    "type": "integer"\n',
    '                }\n',
    '            },\n',
    '            "required": [\n',
    '                "city"\n',
    '            ]\n',
    '        }\n',
    '    }\n',
    '}\n',
    '\n',
    'Rain?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n',
    '\n',
    '{"name": "weather", "parameters": {"city": "Rome", "days": 2}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n',
    '\n',
    '"{\\"rain\\": true}"<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n',
    '\n',
  ].join(''),
}

/** As Hermes: signatures in the words of Python, with filters of what a schema leaves out. */
const hermes: Golden = {
  name: 'Hermes',
  template: `{{- bos_token + "<|im_start|>system\\n<tools> " }}
{%- for tool in tools %}
    {%- if tool.function is defined %}
        {%- set tool = tool.function %}
    {%- endif %}
    {{- '{"type": "function", "function": ' }}
    {{- '{"name": "' + tool.name + '", "description": "' + tool.name + '(' }}
    {%- for name, fields in tool.parameters.properties | items %}
        {{- name + ": " + fields.type }}
        {%- if not loop.last %}
            {{- ", " }}
        {%- endif %}
    {%- endfor %}
    {{- ") - " + tool.description | trim + "\\n\\n" }}
    {%- for name, fields in tool.parameters.properties | items %}
        {{- "    " + name + "(" + fields.type + "): " + fields.description | trim + "\\n" }}
    {%- endfor %}
    {{- '", "parameters": ' }}
    {%- if tool.parameters.properties | length == 0 %}
        {{- "{}" }}
    {%- else %}
        {{- tool.parameters | tojson }}
    {%- endif %}
    {{- "}}" }}
{%- endfor %}
{{- " </tools><|im_end|>\\n" }}
{%- for message in messages %}
    {%- if message.role == "assistant" and message.tool_calls is defined %}
        {{- "<|im_start|>" + message.role }}
        {%- for tool_call in message.tool_calls %}
            {{- '\\n<tool_call>\\n' }}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '{"name": "' + tool_call.name + '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.previtem and loop.previtem.role != "tool" %}
            {{- '<|im_start|>tool\\n' }}
        {%- endif %}
        {{- '<tool_response>\\n' + message.content }}
        {%- if not loop.last %}
            {{- '\\n</tool_response>\\n' }}
        {%- else %}
            {{- '\\n</tool_response>' }}
        {%- endif %}
        {{- '<|im_end|>' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}`,
  text: [
    '<s><|im_start|>system\n',
    '<tools> {"type": "function", "function": {"name": "weather", "description": "weather(city: string, days: integer) - The "weather" <today>\n',
    '\n',
    '    city(string): é.g. Rome\n',
    '    days(integer): \n',
    '", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "é.g. Rome"}, "days": {"type": "integer"}}, "required": ["city"]}}} </tools><|im_end|>\n',
    '<|im_start|>system\n',
    'Be brief.<|im_end|>\n',
    '<|im_start|>user\n',
    'Rain?<|im_end|>\n',
    '<|im_start|>assistant\n',
    '<tool_call>\n',
    '{"name": "weather", "arguments": {"city": "Rome", "days": 2}}\n',
    '</tool_call><|im_end|>\n',
    '<|im_start|>tool\n',
    '<tool_response>\n',
    '{"rain": true}\n',
    '</tool_response><|im_end|><|im_start|>assistant\n',
  ].join(''),
}

/** As Mistral: tools before the last question, ids of nine characters. */
const mistral: Golden = {
  name: 'Mistral',
  template: `{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val | tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
            {%- endfor %}
            {{- "][/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function | tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id | length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {{- "]" + eos_token if loop.last else ", " }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"] | trim + eos_token }}
    {%- elif message["role"] == "tool" %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content | string }}
        {{- ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- endif %}
{%- endfor %}`,
  text: [
    '<s>[AVAILABLE_TOOLS] [{"type": "function", "function": {"name": "weather", "description": "The "weather" <today>", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "é.g. Rome"}, "days": {"type": "integer"}}, "required": ["city"]}}}][/AVAILABLE_TOOLS][INST] Rain?[/INST][TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Rome", "days": 2}, "id": "abcdefghi"}]</s>[TOOL_RESULTS] {"content": {"rain": true}, "call_id": "abcdefghi"}[/TOOL_RESULTS]',
  ].join(''),
}

/** As SmolLM2, which knows of no tools; and documents, as Command R and Granite write them. */
export const documented: Golden = {
  name: 'SmolLM2',
  template: `{% for document in documents %}{{ '[' + document.title + '] ' + document.text + '\\n' }}{% endfor %}{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nHello<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
  text: [
    '[A] B\n',
    '<|im_start|>system\n',
    'Hello<|im_end|>\n',
    '<|im_start|>user\n',
    'Rain?<|im_end|>\n',
    '<|im_start|>assistant\n',
  ].join(''),
}

export const styles = [qwen, llama, hermes, mistral]
