"""Chat templates that would take for ever, or all memory, end with one line."""

import resource
import time

import pytest

from gptterm.engine.prompt import jinja_budget
from gptterm.engine.prompt.jinja import render
from gptterm.engine.prompt.jinja_budget import Budget, TemplateBudgetError
from gptterm.errors import ModelError
from tests.engine.prompt.templates import TEMPLATES
from tests.engine.prompt.test_rendering import ONE, chat_tokenizer, text_of

GROW = "{% set ns = namespace(x=START) %}{% for i in range(99) %}{% set ns.x = STEP %}{% endfor %}"


def grow(start: str, step: str) -> str:
    """A template that applies `step` to a namespace's `ns.x` 99 times."""
    return GROW.replace("START", start).replace("STEP", step)


ENDLESS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}",
    "a loop's test": "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}"
    "{% endfor %}",
    "macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(99) }}",
    "a recursive loop": "{% for a in [1, 1] recursive %}{{ loop([1, 1]) if loop.depth < 99 }}"
    "{% endfor %}",
    "blocks": "{% block a %}{% for i in range(9) %}{{ self.b() }}{% endfor %}{% endblock %}"
    "{% block b %}{% for i in range(99999) %}{{ self.c() }}{% endfor %}{% endblock %}"
    "{% block c %}{% for i in range(99999) %}{% endfor %}{% endblock %}",
    "filters over filters": "{% set ns = namespace(x=range(99999)) %}{% for i in range(200) %}"
    "{% set ns.x = ns.x | map('upper') %}{% endfor %}{{ ns.x | list | length }}",
    "lists compared": grow("[1]", "[ns.x, ns.x]") + grow("[1]", "[ns.x, ns.x]").replace("ns", "o")
    + "{{ ns.x == o.x }}",
    "wide lists compared": grow("[1] * 999", "[ns.x] * 999")
    + grow("[1] * 999", "[ns.x] * 999").replace("ns", "o") + "{{ ns.x == o.x }}",
    "a search from the right": "{% set a = 'a' * 3000000 %}{{ a.rfind('b' + a) }}"
    "{{ a.rfind('b' + a[1500000:]) }}",
    "stripped characters": "{{ ('b' * 3000000).strip('a' * 3000000 + 'b') }}",
    "wrapped words": "{{ ('a' * 3000000) | wordwrap(1) }}",
    "tags": "{{ ('<!---->' * 400000) | striptags }}",
    "links": "{{ ('(' * 3000000) | urlize }}",
    "an encoding": "{{ ('ä' * 2000000).encode('punycode') }}",
    "comparisons in a row": "{% set a = 'a' * 2000000 + 'b' %}"
    + "{% if a[1:] in a[2:] and a[1:] == a[2:] %}{% endif %}" * 1000,
}  # fmt: skip

HUGE = {
    "times": "{{ 'a' * 10000000000 }}",
    "times, a list": "{{ [1] * 10000000000 }}",
    "times, from the left": "{{ 10000000000 * 'a' }}",
    "doubled by ~": grow("'a'", "ns.x ~ ns.x"),
    "doubled by +": grow("'a'", "ns.x + ns.x"),
    "doubled by output": grow("'a'", "ns.x").replace(
        "{% set ns.x = ns.x %}", "{% set x %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = x %}"
    ),
    "doubled lists": grow("[1]", "ns.x + ns.x"),
    "nested lists": grow("[1]", "[ns.x, ns.x]"),
    "nested tuples": grow("(1, 2)", "(ns.x, ns.x)"),
    "nested mappings": grow("{}", "{'a': ns.x, 'b': ns.x}"),
    "nested mappings by dict": grow("{}", "dict(a=ns.x, b=ns.x)"),
    "nested namespaces": grow("1", "namespace(a=ns.x, b=ns.x)") + "{{ ns.x }}",
    "list by list": grow("[]", "ns.x + [range(99999) | list]"),
    "text by text": grow("[]", "ns.x + ['a' * 3999999]"),
    "wide text by text": grow("[]", "ns.x + ['é' * 999999]"),
    "slices": grow("[]", "ns.x + ['a' * 3999999, ('a' * 3999999)[1:]]"),
    "center": "{{ 'x' | center(10 ** 10) }}",
    "center, a method": "{{ 'x'.center(10 ** 10) }}",
    "ljust": "{{ 'x'.ljust(10 ** 10) }}",
    "zfill": "{{ 'x'.zfill(10 ** 10) }}",
    "expandtabs": "{{ ('\\t' * 999999).expandtabs(99999) }}",
    "replace": "{{ ('a' * 999999) | replace('a', 'b' * 999999) }}",
    "replace, a method": "{{ ('a' * 999999).replace('', 'b' * 999999) }}",
    "translate": "{{ ('a' * 999999).translate({97: 'b' * 999999}) }}",
    "join": "{{ range(99999) | join('b' * 999999) }}",
    "join, a method": "{{ ('b' * 999999).join(range(99999) | map('string')) }}",
    "indent": "{{ ('\n' * 999999) | indent(99999) }}",
    "indent by a text": "{{ ('\n' * 999999) | indent('b' * 999999) }}",
    "a width": "{{ '%10000000000d' % 1 }}",
    "a width from a value": "{{ '%*d' % (10000000000, 1) }}",
    "a filter's width": "{{ '%10000000000d' | format(1) }}",
    "a method's width": "{{ '{:10000000000}'.format(1) }}",
    "a nested width": "{{ '{:{}}'.format(1, 10000000000) }}",
    "a mapping's width": "{{ '{a:10000000000}'.format_map({'a': 1}) }}",
    "values again and again": "{{ ('%(a)s' * 99999) % {'a': 'b' * 999999} }}",
    "numbered values": "{{ ('{0}' * 99999).format('b' * 999999) }}",
    "to JSON": "{{ range(9) | list | tojson(indent=100000000) }}",
    "batch": "{{ [1] | batch(10 ** 10, 1) | list }}",
    "slice": "{{ [1] | slice(10 ** 10, 1) | list }}",
    "sum": "{{ ([range(9999) | list] * 9999) | sum(start=[]) | length }}",
    "powers": "{{ 10 ** (10 ** 10) }}",
    "squares": grow("10", "ns.x * ns.x") + "{{ ns.x % 7 }}",
    "bytes of a number": "{{ (1).to_bytes(10 ** 10) }}",
    "an error": grow("1", "namespace(a=ns.x, b=ns.x)") + "{{ raise_exception(ns.x) }}",
    "a mapping of keys": grow("[1]", "{}.fromkeys(range(9999), ns.x).values() | list"),
    "a constant": "{% autoescape 'x' | center(10 ** 10) %}{% endautoescape %}",
    "template's own text": "{% macro a() %}" + "a" * 200_000 + "{% endmacro %}"
    "{% for i in range(99999) %}{{ a() }}{% endfor %}",
    "the output": "{% for i in range(99999) %}" + "a" * 200_000 + "{% endfor %}",
    "the source": "{# a #}" * 100_000,
    "the date": "{{ strftime_now('%Y' * 1000000) }}",
}  # fmt: skip


@pytest.mark.parametrize("case", [*ENDLESS, *HUGE])
def test_a_template_within_its_budget_or_one_line(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jinja_budget, "_SECONDS", 0.5)
    began, before = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError) as caught:
        render((ENDLESS | HUGE)[case], {"messages": []})
    assert isinstance(caught.value.__cause__, TemplateBudgetError), caught.value
    assert str(caught.value).startswith("the model's chat template fails: ")
    assert str(caught.value).endswith("; --raw goes without it")
    assert "\n" not in str(caught.value)
    assert time.thread_time() - began < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000


def test_a_long_chat_is_well_within_its_budget() -> None:
    messages = [{"role": role, "content": "word " * 400} for role in ["user", "assistant"] * 1500]
    for name, source in TEMPLATES.items():
        if name != "system last":
            budget = Budget(len(messages) * 2000)
            text = render(source, {"messages": messages, "eos_token": "</s>"}, budget)
            assert text.count("word") >= 400


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    of = chat_tokenizer("{{ '\\ud800' }}{{ messages[0].content }}")
    assert text_of(ONE, of) == "\ufffdOnce upon a time"
