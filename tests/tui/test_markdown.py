"""Markdown to lines: nothing is lost, nothing is obeyed, and no source takes long."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name
from rich.cells import cell_len
from textual.app import App, ComposeResult

from gptterm.conversation import code_colours, markdown_parser
from gptterm.conversation.code_colours import LANGUAGES
from gptterm.conversation.markdown_parser import MAX_TABLE_CELLS
from gptterm.terminal import display_text
from gptterm.tui.widgets.transcript.lines import Line, Span
from gptterm.tui.widgets.transcript.markdown import code_blocks, layout_markdown, parse_markdown
from gptterm.tui.widgets.transcript.markdown_blocks import COPY_HINT
from gptterm.tui.widgets.transcript.markdown_code import highlight_code
from gptterm.tui.widgets.transcript.markdown_table import Table
from gptterm.tui.widgets.transcript.transcript import Transcript
from gptterm.tui.widgets.transcript.turn_view import TurnView


def lines_of(source: str, width: int = 0) -> list[Line]:
    return layout_markdown(parse_markdown(source), width)


def texts(source: str, width: int = 0) -> list[str]:
    return [line.text for line in lines_of(source, width)]


def rows_of(source: str) -> list[str]:
    """Text as it is drawn, indents too."""
    return [line.initial_indent + line.text for line in lines_of(source)]


def styled(source: str) -> list[list[tuple[str, str]]]:
    """Styles and texts of the spans of each line."""
    return [
        [(s.style, line.text[s.start : s.end]) for s in line.spans] for line in lines_of(source)
    ]


def test_inline_marks() -> None:
    (line,) = lines_of("a **b *c*** `d*` e")
    assert (line.text, line.spans) == (
        "a b c d* e",
        (Span(2, 5, "strong"), Span(4, 5, "emphasis"), Span(6, 8, "code")),
    )
    (line,) = lines_of("2*3*4 snake_case_name [red]")
    assert (line.text, line.spans) == ("2*3*4 snake_case_name [red]", ())


def test_emphasis_goes_over_line_breaks() -> None:
    assert texts("so **it\nis** so") == ["so it", "is so"]
    assert styled("so **it\nis** so") == [[("strong", "it")], [("strong", "is")]]


@pytest.mark.parametrize(
    ("source", "shown", "spans"),
    [
        ("***a***", "a", [("emphasis", "a"), ("strong", "a")]),
        ("*a **b** c*", "a b c", [("emphasis", "a b c"), ("strong", "b")]),
        ("*a _b_ **c***", "a b c", [("emphasis", "a b c"), ("strong", "c")]),
        ("**a *b* c**", "a b c", [("strong", "a b c"), ("emphasis", "b")]),
        ("~~a *b*~~", "a b", [("strike", "a b"), ("emphasis", "b")]),
        ("这是*强调*的", "这是强调的", [("emphasis", "强调")]),
    ],
)
def test_nested_emphasis(source: str, shown: str, spans: list[tuple[str, str]]) -> None:
    assert texts(source) == [shown]
    assert styled(source) == [spans]


def test_a_table_without_outer_pipes() -> None:
    assert texts("a | b\n:-- | --:\n1 | 22\n\nend") == ["a   b", "─  ──", "1  22", "", "end"]


def test_setext_headings() -> None:
    assert texts("One\n===\nTwo\n---\nend") == ["One", "Two", "end"]
    assert styled("One\n===\nTwo\n---\nend") == [[("heading", "One")], [("subheading", "Two")], []]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("![a *cat*](http://x.org/c.png)", "a cat (http://x.org/c.png)"),
        ("![](c.png)", "image (c.png)"),
        ("[![alt](i.png)](http://x.org)", "alt (i.png) (http://x.org)"),
        ("[moon](http://x.org/Moon_(disk))", "moon (http://x.org/Moon_(disk))"),
        ('[moon](http://x.org "a title")', 'moon (http://x.org "a title")'),
        ("[**http://x.org**](http://x.org)", "http://x.org"),
        ("<http://x.org/月>", "http://x.org/月"),
        ("[月](http://x.org/%E6%9C%88月)", "月 (http://x.org/%E6%9C%88月)"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[see][1]\n\n[1]: http://x.org", "[see][1]||[1]: http://x.org"),
    ],
)
def test_links_and_images_show_where_they_go(source: str, shown: str) -> None:
    assert "|".join(texts(source)) == shown


def test_html_is_text_and_no_entity_is_obeyed() -> None:
    assert texts('<b onclick="x">a</b>\n\n<!-- c -->') == ['<b onclick="x">a</b>', "", "<!-- c -->"]
    assert texts("a &lt;b&gt; &amp; `&amp;`") == ["a <b> & &amp;"]
    obeyed = "&#x202e;a&#10;b&#27;&#x9b;&#13;&NewLine;&Tab;"
    for source in (obeyed, f"[a](http://x/{obeyed})", f'![a](x "{obeyed}")', f"| {obeyed} |\n|--|"):
        for text in texts(source):
            assert text == display_text(text)
            assert "\n" not in text


def test_lists_and_quotations() -> None:
    assert rows_of("1. a\n   - b\n     more\n2. c\n\n   d\n\n> e\n>\n> > f\n> 1) g\n- ") == [
        *("1. a", "  ◦ b", "    more", "2. c", "", "   d", ""),
        *("▎ e", "▎ ", "▎ ▎ f", "▎ 1) g", "• "),
    ]  # fmt: skip
    assert rows_of("- - a\n  - b\n-\n  c") == ["• ◦ a", "  ◦ b", "• c"]
    assert rows_of("- ```py\n  x\n  ```\n  y") == ["•  py · b copy", "   x", "  y"]


def test_blank_lines_stay() -> None:
    assert texts("\na\n\n\n\n# b\nc\n\n---\n\n") == [
        *("", "a", "", "", "", "b", "c", "", "─" * 24, "", ""),
    ]  # fmt: skip


MARKDOWN = st.text(alphabet="#*_`~-=+>[]()!<\\ \n\nab1.:é漢", max_size=200)


@given(MARKDOWN.map(display_text))
def test_every_letter_is_shown_once(source: str) -> None:
    """But for what is not of the text: the numbers of a list's items, the key that copies code."""
    shown = "".join(rows_of(source)).replace(COPY_HINT, "")
    for letter in "bé漢1":
        assert shown.count(letter) == source.count(letter)


@given(st.text(alphabet="#*_`-|>[]()~ \nab1.:=!&#;", max_size=200), st.integers(0, 30))
def test_no_markdown_is_too_odd(source: str, width: int) -> None:
    lines = lines_of(source, width)
    assert lines
    assert all(0 <= s.start <= s.end <= len(line.text) for line in lines for s in line.spans)
    assert all(cell_len(i.initial_indent) == cell_len(i.subsequent_indent) for i in lines)
    assert not any("\n" in line.text for line in lines)
    code_blocks(source)


def test_half_a_fence_is_code_to_the_end_and_half_a_table_is_text() -> None:
    assert lines_of("| a | b")[0] == Line("| a | b")
    assert code_blocks("x\n```py\ny = 1\n") == ["y = 1\n"]


def test_code_blocks() -> None:
    source = (
        "```\na\n\nb\n```\n> ~~~ c\n> \td\n> ~~~\n- x\n  ```\n  e\r\n  ```\n\ny\n\n    f\n    g\n"
    )
    assert code_blocks(source) == ["a\n\nb", "\td", "e", "f\ng"]
    assert code_blocks("```\n```\n`a`\n") == [""]


# ------------------------------------------------------------------------------------- limits


def test_nothing_is_lost_where_it_is_nested_too_deeply() -> None:
    assert texts("> " * 50 + "deep\nafter") == ["> " * 50 + "deep", "after"]
    for source in ("- " * 50 + "deep", "1. " * 50 + "deep", "[" * 50 + "deep" + "](u)" * 50):
        assert "deep" in "".join(texts(source))


def test_an_indent_leaves_half_of_a_row_to_the_text() -> None:
    view = TurnView("1", "assistant", "gpt2")
    view.set_document(parse_markdown("> " * 15 + "word"))
    view.layout(12)
    assert view.row_text(0) == "▎ " * 3 + "word"


def test_a_table_is_no_larger_than_its_limit() -> None:
    rows = 5000
    document = parse_markdown("|a" * 64 + "|\n" + "|-" * 64 + "|\n" + "|\n" * rows)
    (made,) = [block for block in document if isinstance(block, Table)]
    assert sum(map(len, made.rows)) <= MAX_TABLE_CELLS
    lines = layout_markdown(document, 80)
    assert sum(line.text == "|" for line in lines) == rows + 1 - len(made.rows)


SIZE = 30_000
"""Characters of each of the following."""


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (r"\(x_1\) and \[ a\,b \\ c\; d\! \]", r"\(x_1\) and \[ a\,b \\ c\; d\! \]"),
        (r"**\{x\}** \[a](u)", r"\{x\} \[a](u)"),
        (r"\*a\* \_b\_ \# \`c\` \$5 \<b>", "*a* _b_ # `c` $5 <b>"),
    ],
)
def test_backslashes_of_formulas_stay(source: str, shown: str) -> None:
    assert texts(source) == [shown]


@pytest.mark.parametrize(
    "piece",
    [
        *("> ", "- ", "1. ", "[", "![", "*a **a ", "[a](<b", "`a", "<a@", "&#1234", "*_", "a**b"),
        *("a\n\n", "- a\n", "> a\n", "    a\n\n", "a|b\n-|-\n", "a\n", "```\n", "**a\n", "[a](u)"),
    ],
)
def test_no_source_takes_long(piece: str) -> None:
    source = piece * (SIZE // len(piece))
    paragraphs = "\n\n".join(source[at : at + 15_000] for at in range(0, SIZE, 15_000))
    for text in (source, paragraphs):
        begun = time.thread_time()
        document = parse_markdown(text)
        code_blocks(text)
        lines = layout_markdown(document, 80)
        assert time.thread_time() - begun < 10
        assert len(lines) <= text.count("\n") + 1
        assert sum(len(line.spans) for line in lines) <= len(text)


def test_what_exceeds_the_budget_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown_parser, "BUDGET", 100)
    monkeypatch.setattr(markdown_parser, "MAX_SOURCE", 2000)
    for source in ("*a*\n\n" * 100, "*a* " * 100, "*a*" + " " * 2000):
        assert texts(source) == source.split("\n")
    assert code_blocks("```\na\n```\n" * 150) == []
    assert set(texts("*a*\n\n" * 10)) == {"a", ""}
    assert code_blocks("```\na\n```\n" * 50) == ["a"] * 50


# ------------------------------------------------------------------------------------- tables

TABLE = """| model | size | 速度 |
|:--|--:|:-:|
| gpt2 | 124M | `fast`, it has been said \\| proved |
| gpt2-xl | 1.5B | slow |"""
TABLE = """| model | size | 速度 |
|:--|--:|:-:|
| gpt2 | 124M | `fast`, it has been said \\| proved |
| gpt2-xl | 1.5B | slow |"""


def test_a_table_as_wide_as_its_cells_where_there_is_room() -> None:
    assert texts(TABLE, 80) == [
        "model    size               速度",
        "───────  ────  ───────────────────────────────",
        "gpt2     124M  fast, it has been said | proved",
        "gpt2-xl  1.5B               slow",
    ]
    assert texts(TABLE, 0) == texts(TABLE, 80)


def test_the_widest_column_of_a_table_gives_way_and_no_word_is_lost() -> None:
    rows = texts(TABLE, 30)
    assert rows == [
        "model    size       速度",
        "───────  ────  ───────────────",
        "gpt2     124M   fast, it has",
        "                 been said |",
        "                   proved",
        "gpt2-xl  1.5B       slow",
    ]
    assert max(map(cell_len, rows)) == 30
    (code,) = [s for s in lines_of(TABLE, 30)[2].spans if s.style == "code"]
    assert rows[2][code.start : code.end] == "fast"


@given(st.lists(st.text("ab 速", max_size=30), min_size=1, max_size=5), st.integers(30, 80))
def test_every_table_fits(cells: list[str], width: int) -> None:
    row = f"| {' | '.join(cells)} |"
    rule = "|" + "---|" * len(cells)
    lines = texts(f"{row}\n{rule}\n{row}", width)
    assert all(cell_len(line) <= width for line in lines)
    shown = "".join("".join(lines).replace("─", "").split())
    # Wrapped cells stand beside each other: the characters are there, in another order.
    assert sorted(shown) == sorted(2 * "".join(cells).replace(" ", ""))


def test_a_table_is_laid_out_anew_for_another_width() -> None:
    view = TurnView("k", "assistant", "gpt2")
    view.set_document(parse_markdown(TABLE))
    view.layout(60)
    wide = [view.row_text(row) for row in range(len(view.rows))]
    view.layout(30)
    assert len(view.rows) == 6
    view.layout(60)
    assert [view.row_text(row) for row in range(len(view.rows))] == wide


# ----------------------------------------------------------------------------- in the transcript


class Host(App[None]):
    """A transcript and nothing else."""

    def compose(self) -> ComposeResult:
        """Only that."""
        yield Transcript()


def reply(key: str, text: str) -> TurnView:
    view = TurnView(key, "assistant", "gpt2")
    view.set_text(text, markdown=True)
    return view


def body(view: TurnView) -> list[str]:
    return [view.row_text(row) for row in range(len(view.rows))]


async def until_parsed(app: Host, turns: Sequence[TurnView]) -> None:
    while any(turn.markdown_source for turn in turns):
        await app.workers.wait_for_complete()
    assert not any("**" in line.text for turn in turns for line in turn.lines)


async def test_a_short_reply_never_shows_its_marks_and_a_long_chat_does_not_wait() -> None:
    app = Host()
    async with app.run_test(size=(60, 20)) as pilot:
        transcript = app.query_one(Transcript)
        turns = [reply(str(n), f"{n} is **bold**\n" * 500) for n in range(20)]
        transcript.show(turns)
        assert body(turns[-1])[:2] == ["19 is bold", "19 is bold"]
        assert body(turns[0])[0] == "0 is **bold**"
        await until_parsed(app, turns)
        assert body(turns[0])[0] == "0 is bold"
        await pilot.pause()
        assert transcript.scroll_y == transcript.max_scroll_y


async def test_the_view_stays_where_it_is_while_turns_above_it_are_parsed() -> None:
    app = Host()
    async with app.run_test(size=(60, 20)) as pilot:
        transcript = app.query_one(Transcript)
        # Parsed, the fences are gone: each turn is shorter.
        turns = [reply(str(n), f"```\ncode {n}\n```\n" * 300) for n in range(40)]
        transcript.show(turns)
        await pilot.pause()
        transcript.select_turn("20")
        await pilot.pause()
        assert not transcript.follow
        before = transcript.render_line(1).text
        assert "code 20" in before or "```" in before
        await until_parsed(app, turns)
        await pilot.pause()
        assert "gpt2" in transcript.render_line(0).text
        assert "code 20" in transcript.render_line(1).text


async def test_a_turn_that_is_changed_while_it_is_parsed_keeps_the_change() -> None:
    app = Host()
    async with app.run_test(size=(60, 20)):
        transcript = app.query_one(Transcript)
        turns = [reply("1", "*old* " * 20_000)]
        transcript.show(turns)
        turns[0].set_text("the **new** one", markdown=True)
        await until_parsed(app, turns)
        assert body(turns[0]) == ["the new one"]


def test_code_has_colours_and_a_head_line() -> None:
    source = '```python\ndef f(x):  # why\n    return "a" + 1\n```'
    head, first, second = styled(source)
    assert texts(source)[0] == "python · b copy"
    assert ("faint", "python · b copy") in head
    assert {("code-keyword", "def"), ("code-name", "f"), ("code-comment", "# why")} <= set(first)
    assert ("code-number", "1") in second
    assert ("code-string", "a") in second


@pytest.mark.parametrize(
    "code", ["```nonsense\ndef f\n```", f"```python\n{'x = 1; ' * 200}\n```", "```\ndef f\n```"]
)
def test_code_without_colours(code: str) -> None:
    assert not any(style.startswith("code-") for line in styled(code) for style, _ in line)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_has_a_lexer(language: str) -> None:
    highlight_code("x = 1\n", language)
    assert get_lexer_by_name(language)


def test_the_colours_of_code_are_bounded_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_colours, "BUDGET_S", -1.0)
    assert highlight_code("def f(): pass", "python") == {}


def test_tasks_have_boxes() -> None:
    assert rows_of("- [ ] open **one**\n- [x] done\n- [y] text") == [
        "☐ open one", "✓ done", "• [y] text"
    ]  # fmt: skip
    assert styled("- [ ] open **one**")[0] == [("strong", "one")]
