"""Jinja environment of chat templates, equal to the transformers library's.

Without that library, whose import takes seconds. A template comes with a model, so it is
untrusted: it runs in Jinja's sandbox, over plain values, within a budget of time and memory.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from threading import RLock
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import make_attrgetter
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_environment

from gptterm.engine.prompt.jinja_budget import Budget, TemplateBudgetError, budgeted_filter
from gptterm.errors import ModelError
from gptterm.format import first_line

_LONGEST_SOURCE = 250_000
"""Characters; the longest templates of well-known models have 30,000."""
_LONGEST_DATE_FORMAT = 100
_lock = RLock()
"""A compiled template has one budget at a time."""


def render(source: str, variables: dict[str, Any], budget: Budget | None = None) -> str:
    """Render a template.

    Args:
        budget: shared by the renderings of one prompt; by default a fresh one.

    Raises:
        ModelError: it cannot be parsed, or fails, or rejects the chat, or exceeds its budget.
    """
    try:
        with _lock:
            return _render(source, variables, budget or Budget())
    except Exception as error:  # a template can raise anything
        raise ModelError(
            f"the model's chat template fails: {first_line(error)}; --raw goes without it"
        ) from error


def _render(source: str, variables: dict[str, Any], budget: Budget) -> str:
    if len(source) > _LONGEST_SOURCE:
        raise TemplateBudgetError("it is too long")
    template = _compile(source)
    environment = template.environment
    assert isinstance(environment, _Environment)
    environment.budget = budget
    return template.render(variables)


class _CodeGenerator(CodeGenerator):
    """Jinja's compiler, which also writes calls of the budget into a template's code."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802
        line = node.lineno
        tick = nodes.EnvironmentAttribute("budget.tick()", lineno=line)
        node.body = [nodes.ExprStmt(tick, lineno=line), *node.body]
        if node.test is not None:  # it is evaluated for items without an iteration, too
            node.test = nodes.And(tick, node.test, lineno=line)
        super().visit_For(node, frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        self.write("(environment.budget.tick() and ")
        super().visit_Compare(node, frame)
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        self._checked("part", super().visit_Getitem, node, frame, isinstance(node.arg, nodes.Slice))

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._checked("container", super().visit_List, node, frame, True)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._checked("container", super().visit_Dict, node, frame, True)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        self._checked("container", super().visit_Tuple, node, frame, node.ctx == "load")

    def _checked(
        self, check: str, visit: Callable[..., None], node: nodes.Expr, frame: Frame, needed: bool
    ) -> None:
        """Write an expression as the argument of one of the budget's methods."""
        self.write(f"environment.budget.{check}(" if needed else "")
        visit(node, frame)
        self.write(")" if needed else "")


class _Environment(ImmutableSandboxedEnvironment):
    """Sandbox whose operations count against a budget."""

    code_generator_class = _CodeGenerator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        self.budget = Budget()
        super().__init__(finalize=lambda value: self.budget.output(value), **options)
        self.concat = self._concat  # type: ignore[method-assign]

    def _concat(self, pieces: Iterable[str]) -> str:
        return self.budget.concatenated(pieces)

    def join_texts(self, values: tuple[Any, ...]) -> str:
        """The operator `~`."""
        self.budget.charge(sum(map(self.budget.walk, values)))
        return "".join(map(str, values))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and type(left) is str and type(right) is str:  # by far the most
            self.budget.charge(4 * (len(left) + len(right)))
            return left + right
        self.budget.operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def checked(*args: Any, **kwargs: Any) -> str:
            self.budget.format(value.__self__, (*args, *kwargs.values()))
            return wrapped(*args, **kwargs)

        return checked

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        self = __self
        self.budget.tick()
        owner = getattr(__obj, "__self__", None)
        if not isinstance(owner, _BUILT_IN):
            result = super().call(__context, __obj, *args, **kwargs)
            return self.budget.container(result) if __obj is dict else result
        name = __obj.__name__
        if kwargs:  # few methods take any: by position they are looked at
            self.budget.method(owner, name, tuple(kwargs.values()))
        args = self.budget.method(owner, name, args)
        result = super().call(__context, __obj, *args, **kwargs)
        if isinstance(owner, str | bytes) or name == "fromkeys":
            self.budget.method_result(result)
        return result


_BUILT_IN = (str, bytes, int, float, list, tuple, dict, type)


class _Generation(Extension):
    """`{% generation %}`, which marks text for training; here it is only a scope."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own declaration)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


class _Namespace(Namespace):
    """Jinja's namespace, without names that begin with an underscore: Python's internals."""

    def __init__(*args: Any, **attributes: Any) -> None:
        self, *rest = args
        values = dict(*rest, **attributes)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"it uses the name {name!r}")


@pass_environment
def _raise(environment: "_Environment", message: Any) -> NoReturn:
    raise TemplateError(str(environment.budget.output(message)))


@pass_environment
def _sum(
    environment: "_Environment",
    iterable: Iterable[Any],
    attribute: str | int | None = None,
    start: Any = 0,
) -> Any:
    """Jinja's `sum` filter, with each addition checked: `start` may be a list."""
    getter = None if attribute is None else make_attrgetter(environment, attribute)
    for value in iterable:
        item = value if getter is None else getter(value)
        environment.budget.tick()
        environment.budget.operator("+", start, item)
        start = start + item
    return start


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The library's `tojson` filter; Jinja's own would escape HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _strftime_now(form: str) -> str:
    if len(form) > _LONGEST_DATE_FORMAT:
        raise TemplateBudgetError("its date format is too long")
    return datetime.now().strftime(form)


@lru_cache(maxsize=4)
def _compile(source: str) -> Template:
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.filters["sum"] = _sum
    for name, function in environment.filters.items():
        environment.filters[name] = budgeted_filter(name, function, lambda: environment.budget)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["namespace"] = _Namespace
    del environment.globals["lipsum"]
    return environment.from_string(source)
