"""Chat templates in the manner of well-known families, written for these tests."""

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# A space before each reply, which has no place of its own to begin in.
INST = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'].strip() + ' ' + eos_token }}"
    "{% else %}{{ '<<SYS>>\n' + message['content'] + '\n<</SYS>>\n\n' }}{% endif %}"
    "{% endfor %}"
)

HEADERS = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' ~ message.role ~ '<|end_header|>\n\n' ~ message.content | trim }}"
    "{{- '<|im_end|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant<|end_header|>\n\n' }}{%- endif %}"
)

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<|im_start|>' + role + '\n' + message['content'] | trim + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>model\n' }}{% endif %}"
)

THINKING = (
    "{%- for message in messages %}"
    "{%- set content = message.content %}"
    "{%- if message.role == 'assistant' and '</think>' in content %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}"
    "{{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n<think>\n' }}{%- endif %}"
)

# What templates ask for beside the messages.
EVERYTHING = (
    "{%- if tools is none and documents is none %}{{ 'no tools' }}{% endif %}"
    "{%- if tools is not none and tools | length > 0 %}{{ 'tools' }}{% endif %}"
    "{%- if documents is defined and documents %}{{ 'documents' }}{% endif %}"
    "{%- if not date_string is defined %}{%- set date_string = strftime_now('%Y') %}{%- endif %}"
    "{%- set ns = namespace(first=true) %}"
    "{%- for message in messages %}"
    "{%- if message.tool_calls is defined %}{{ 'calls' }}{% endif %}"
    "{%- if message.content is string and message.content | length > 3 %}{{ 'long ' }}{% endif %}"
    "{%- if ns.first %}{{ date_string }}{% set ns.first = false %}{% endif %}"
    "{{- undefined_variable }}"
    "{%- if message.role == 'assistant' %}"
    "{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}"
    "{%- else %}{{ message.role }}: {{ message.content }}{% endif %}"
    "{{- {'b': 'ü<', 'a': [1]} | tojson }}"
    "{%- if loop.index > 5 %}{% break %}{% endif %}"
    "{%- endfor %}"
)

# The system's text goes before the last message; so some instruction models have it.
SYSTEM_LAST = (
    "{% for message in messages %}"
    "{% if message.role == 'user' and loop.last and messages[0].role == 'system' %}"
    "[INST] {{ messages[0].content }}\n\n{{ message.content }} [/INST]"
    "{% elif message.role == 'user' %}[INST] {{ message.content }} [/INST]"
    "{% elif message.role == 'assistant' %} {{ message.content }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)

TEMPLATES = {
    "chatml": CHATML,
    "inst": INST,
    "headers": HEADERS,
    "no system": NO_SYSTEM,
    "thinking": THINKING,
    "everything": EVERYTHING,
    "system last": SYSTEM_LAST,
}
