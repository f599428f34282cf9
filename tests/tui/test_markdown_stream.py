"""Markdown that is being written: at each moment it is drawn as at its end."""

import pytest

from gptterm.conversation import code_colours
from gptterm.tui.widgets.transcript.markdown import layout_markdown, parse_markdown
from gptterm.tui.widgets.transcript.markdown_stream import LONGEST_PARSED, MarkdownStream
from gptterm.tui.widgets.transcript.turn_view import TurnView
from tests.support.scripted import Script
from tests.tui.conftest import Open

SOURCE = """# A plan

Here is **what to do**,
on two lines.

1. Install

2. Run

   indented

- [ ] a task

```python
def f():

    return "x"

# no heading
```


~~~
```
~~~

> a quotation

> another

| model | size |
|---|---|
| gpt2 | 124M |

Setext
---

    code

***
the end"""


@pytest.mark.parametrize("step", [1, 2, 7, 40, 1000])
def test_the_end_is_as_if_parsed_at_once(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_colours, "BUDGET_S", 60.0)
    stream, view = MarkdownStream(), TurnView("k", "assistant", "gpt2")
    view.stream_markdown("")
    view.layout(30)
    for at in range(0, len(SOURCE), step):
        stream.feed(SOURCE[at : at + step])
        view.append_markdown(SOURCE[at : at + step])
    whole = layout_markdown(parse_markdown(SOURCE), 30)
    assert stream.lines(30) == whole
    assert view.lines == whole
    done = TurnView("k", "assistant", "gpt2")
    done.set_text(SOURCE, markdown=True)
    done.set_document(parse_markdown(SOURCE))
    done.layout(30)
    rows = [view.row_text(row) for row in range(len(view.rows))]
    assert rows == [done.row_text(row) for row in range(len(done.rows))]


def test_complete_blocks_stay_and_a_long_one_is_not_parsed_again() -> None:
    stream = MarkdownStream()
    stream.feed("One.\n\nTwo.\nMore.\n\nThree")
    assert stream.fresh_lines(40)[0] == 0
    stream.feed(" *more*")
    stable, lines = stream.fresh_lines(40)
    assert stable == 2
    assert [line.text for line in lines] == ["Two.", "More.", "", "Three more"]
    stream.feed("x" * LONGEST_PARSED)
    _, lines = stream.fresh_lines(40)
    assert any(line.text.startswith("Three *more*x") for line in lines)


async def test_a_reply_has_no_marks_while_it_streams(open_tui: Open) -> None:
    script = Script.saying("## Title\n\nSome **bold** and\n\n- an item\n", endless=True, rate=40)
    async with open_tui(script) as desk:
        await desk.ready()
        desk.screen.prompt.put("hi")
        await desk.press("enter")
        await desk.until(lambda: "Some bold and" in desk.text and "• an item" in desk.text)
        assert desk.controller.replying is not None
        await desk.pilot.resize_terminal(50, 20)
        await desk.until(lambda: "Some bold and" in desk.text)
        assert "**" not in desk.text
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
