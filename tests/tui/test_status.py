"""The status line: its parts, and which are left out first."""

from rich.cells import cell_len

from gptterm.tui.widgets.status import METER_WIDTH, Status, StatusLine, sparkline

WRITING = Status(
    model="gpt2", device="cpu · float32", title="漢字 and a title of some words", tokens_per_s=40.0,
    rates=(10.0, 20.0, 40.0), first_token_s=0.12, context=(512, 1024), cache_bytes=36_864, seed=7,
)  # fmt: skip


def shown(status: Status, width: int) -> str:
    line = StatusLine()
    line.set_reactive(StatusLine.status, status)
    return "".join(text for text, _ in line.row(0, width))


def test_rate_and_context_are_drawn() -> None:
    text = shown(WRITING, 140)
    assert cell_len(text) == 140
    assert "   40.0 tok/s ▃▅█   first 120 ms   512/1024 ███      37 kB/token   seed 7" in text
    assert " 漢字 and a title of some words " in text
    assert " 漢字 and a…  " in shown(WRITING, 122)
    assert sparkline((0.0, 0.0)) == ""
    # Once it is written, the rate alone tells of it.
    assert "▅" not in shown(Status(model="gpt2", tokens_per_s=40.0), 140)
    assert "1024/1024 " + "█" * METER_WIDTH in shown(Status(context=(1024, 1024)), 60)


def test_the_least_important_parts_are_left_out_first() -> None:
    assert "37 kB" not in shown(WRITING, 80)
    assert "▃▅█" not in shown(WRITING, 76)
    assert shown(WRITING, 44).split() == ["gpt2", "40.0", "tok/s", "512/1024", "███"]
    assert shown(WRITING, 12).split() == ["gpt2"]
    assert shown(Status(model="a-long-name"), 6).startswith("a-lon…")
