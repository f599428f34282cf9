"""Remote models through the real command: one prompt, a chat, errors, the history."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pexpect
import pytest

from gptterm.config.file import read_config
from gptterm.conversation.export import Format, render
from gptterm.conversation.tree import Conversation
from gptterm.errors import UsageError
from gptterm.store import History
from tests.cli.command import finish, run, spawn, start
from tests.support.llm_server import Answer, LlmServer, chat, refusal, sse, stream

KEY = "sk-very-secret-key"
MODELS = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 4096}]


@pytest.fixture
def env(env: dict[str, str]) -> dict[str, str]:
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "OPENAI_BASE_URL"}
    kept = {name: value for name, value in env.items() if name.upper() not in proxies}
    return {**kept, "OPENAI_API_KEY": KEY}


def saved(env: dict[str, str]) -> Conversation:
    with History.open(Path(env["GPTTERM_HOME"], "history.db")) as history:
        return history.load(history.conversations()[0].id)


def home_bytes(env: dict[str, str]) -> bytes:
    files = [path for path in Path(env["GPTTERM_HOME"]).rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def config(env: dict[str, str], text: str) -> None:
    Path(env["GPTTERM_HOME"], "config.toml").write_text(text)


def test_a_prompt_goes_to_the_server_and_its_model_is_remembered(env: dict[str, str]) -> None:
    with LlmServer(stream("Hel", "lo"), models=MODELS) as server:
        first = run(["--server", server.url, "-v", "-t", "0.5", "Hi"], env)
        again = run(["-c", "--json", "And?"], env)
    assert (first.code, first.text) == (0, "Hello\n"), first.stderr
    name = f"qwen@{server.url}"
    lines = first.stderr.splitlines()
    assert lines[0] == f"gptterm: {name}: remote, {server.url[7:-3]}, vLLM"
    assert lines[1] == "gptterm: prompt 7 tokens (0 reused, 0 dropped) of 4096"
    assert "2 tokens" in lines[2]
    # The chat's own name has the server in it; only who names the server sends it a key.
    assert (again.code, again.stderr) == (0, "")
    result = json.loads(again.text)
    assert (result["model"], result["device"]) == (name, server.url[7:-3])
    assert (result["seed"], result["usage"]["prompt_tokens"]) == (None, 7)
    one, two = server.posts
    assert one.headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in two.headers
    assert (one.body["model"], one.body["temperature"]) == ("qwen", 0.5)
    assert [message["content"] for message in two.body["messages"]] == ["Hi", "Hello", "And?"]
    tree = saved(env)
    reply = tree.last_reply()
    assert reply is not None
    assert tree.node(reply).model == name
    assert KEY.encode() not in home_bytes(env)


def test_a_server_of_the_configuration_has_its_own_key_and_headers(env: dict[str, str]) -> None:
    key = Path(env["GPTTERM_HOME"], "key")
    key.write_text("lab-key\n")
    key.chmod(0o600)
    thought = {"choices": [{"index": 0, "delta": {"reasoning": "Hm."}}]}
    top = {"token": "Yes", "logprob": -0.1, "bytes": list(b"Yes")}
    words = chat("Yes", logprobs={"content": [{**top, "top_logprobs": [top]}]})
    answer = Answer(sse(thought, words, chat(finish="stop")))
    with LlmServer(answer, models=MODELS) as server:
        config(
            env,
            f'[servers.lab]\nurl = "{server.url}"\nkey_file = "{key}"\n'
            '[servers.lab.headers]\nX-Team = "physics"\n',
        )
        shown = run(["config", "show"], env)
        result = run(["-m", "lab/qwen", "--json", "--logprobs", "1", "--device", "cpu", "?"], env)
    assert shown.code == 0
    (post,) = server.posts
    assert post.headers["authorization"] == "Bearer lab-key"
    assert post.headers["x-team"] == "physics"
    line = json.loads(result.text)
    assert (line["text"], line["reasoning"], line["model"]) == ("Yes", "Hm.", "lab/qwen")
    assert line["logprobs"] == [
        {"text": "Yes", "logprob": -0.1, "alternatives": [{"text": "Yes", "logprob": -0.1}]}
    ]
    assert "--device: not used" in line["notices"][0]
    assert "physics" not in shown.text + result.text + result.stderr


def test_reasoning_is_dim_kept_and_no_part_of_the_answer(env: dict[str, str]) -> None:
    def thinking(field: str) -> Answer:
        thought = {"choices": [{"index": 0, "delta": {field: "<b> Hm,\n*two* owls?"}}]}
        return Answer(sse(thought, chat("Yes."), chat(finish="stop")))

    answers = (thinking("reasoning"), thinking("reasoning_content"))
    with LlmServer(*answers, models=MODELS) as server:
        child = spawn(["--server", server.url, "Owls?"], env)
        child.expect_exact("\x1b[2m<b> Hm,\r\n*two* owls?\x1b[0m")
        child.expect_exact("Yes.")
        child.expect(pexpect.EOF)
        again = run(["-c", "Sure?"], env)
        sent = server.posts[-1].body["messages"]
    # A pipe gets the answer alone; so does the server.
    assert (again.text, again.stderr) == ("Yes.\n", "")
    assert [message["content"] for message in sent] == ["Owls?", "Yes.", "Sure?"]
    tree = saved(env)
    assert [tree.node(key).reasoning for key in tree.path()][1::2] == ["<b> Hm,\n*two* owls?"] * 2
    assert tree.node(tree.path()[1]).text == "Yes."
    forms: tuple[Format, ...] = ("markdown", "html", "text", "json")
    texts = {form: render(tree, form) for form in forms}
    assert "> \\<b\\> Hm,\n> \\*two\\* owls?\n\nYes." in texts["markdown"]
    assert '<div class="text reasoning" dir="auto">&lt;b&gt; Hm,' in texts["html"]
    assert "owls" not in texts["text"]
    assert "two* owls?" in texts["json"]


def test_a_piped_chat_goes_on_and_changes_between_models(env: dict[str, str]) -> None:
    with LlmServer(stream("Hello"), models=MODELS) as server:
        lines = f"Hi\n/model tiny\nHi again\n/model qwen@{server.url}\nBack\n"
        arguments = ["--plain", "--server", server.url, "-n", "3", "-t", "0"]
        result = run(arguments, env, lines.encode())
    assert result.code == 0, result.stderr
    assert result.text.startswith("Hello\n")
    assert len(server.posts) == 2
    assert len(server.posts[1].body["messages"]) == 5
    tree = saved(env)
    models = [tree.node(key).model for key in tree.path() if tree.node(key).role == "assistant"]
    assert models == [f"qwen@{server.url}", "tiny", f"qwen@{server.url}"]


def test_samplers_that_the_server_does_not_take_are_told_if_they_were_asked_for(
    env: dict[str, str],
) -> None:
    with LlmServer(stream("Hi"), models=[{"id": "llama", "owned_by": "library"}]) as server:
        silent = run(["--server", server.url, "Hi"], env)
        told = run(["--server", server.url, "--top-k", "5", "Hi"], env)
    assert silent.stderr == ""
    assert told.stderr == "gptterm: note: top-k 5 is not used: ollama does not take it\n"


CUT = Answer(sse(chat("so far"), done=False))
LONG = refusal(400, {"error": {"message": "maximum context length is 9"}})


@pytest.mark.parametrize(
    ("arguments", "answer", "models", "code", "part"),
    [
        ((), CUT, MODELS, 1, "ended the reply early"),
        (("--overflow", "error"), LONG, MODELS, 5, "too long"),
        ((), CUT, refusal(401, {}), 3, "refuses the key of OPENAI_API_KEY"),
        ((), CUT, [*MODELS, {"id": "other"}], 3, "has these models: qwen, other"),
        (("--offline",), stream("Hi"), MODELS, 0, ""),
    ],
)
def test_errors_are_one_line_with_their_code(
    arguments: tuple[str, ...],
    answer: Answer,
    models: Any,
    code: int,
    part: str,
    env: dict[str, str],
) -> None:
    with LlmServer(answer, models=models) as server:
        result = run(["--server", server.url, *arguments, "Hi"], env)
    assert result.code == code, result.stderr
    assert part in result.stderr
    assert result.stderr.count("\n") == (1 if code else 0)
    assert KEY not in result.stderr
    if answer is CUT and code == 1:
        assert result.text == "so far\n"


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("--server", "localhost:8000"), 2, "--server: the server localhost:8000 is neither"),
        (("--server", "http://u:hush@h/v1"), 2, "has a user or a password"),
        (("--api-key", "hush"), 2, "--api-key is for a server"),
        (("--server", "http://127.0.0.1:9/v1", "-m", "m"), 3, "nothing listens at 127.0.0.1:9"),
        (("--server", "http://models.invalid", "-m", "m", "--offline"), 3, "gptterm is offline"),
    ],
)
def test_a_server_that_cannot_be_used_is_told(
    arguments: tuple[str, ...], code: int, part: str, env: dict[str, str]
) -> None:
    result = run([*arguments, "Hi"], env)
    assert (result.code, result.stdout) == (code, b"")
    assert part in result.stderr
    assert "hush" not in result.stderr


def test_ctrl_c_leaves_a_server_that_says_nothing(env: dict[str, str]) -> None:
    with LlmServer(Answer(mute=True), models=MODELS) as server:
        process = start(["--server", server.url, "Hi"], env)
        assert server.arrived.wait(60)
        os.kill(process.pid, signal.SIGINT)
        result = finish(process)
        assert server.disconnected.wait(10)
    assert result.code == 130


def test_doctor_reports_on_a_server(env: dict[str, str]) -> None:
    with LlmServer(stream("Hi"), models=MODELS) as server:
        shown = run(["doctor", "--server", server.url], env)
    assert shown.code == 0, shown.stderr
    rows = dict(line.strip().split("  ", 1) for line in shown.text.splitlines() if "  " in line[2:])
    values = {name: value.strip() for name, value in rows.items()}
    assert values["address"] == server.url
    assert values["key"] == "of OPENAI_API_KEY"
    assert values["models"] == "1: qwen"
    assert values["context"] == "4,096 tokens"
    assert values["chat"].startswith("yes, first token after")
    assert values["log probabilities"] == "none: vLLM sends none"
    assert KEY not in shown.text + shown.stderr
    refused = run(["doctor", "--server", server.url], env)
    assert refused.code == 3
    assert "nothing listens" in refused.stderr


def test_commands_for_local_models_say_that_a_model_is_on_a_server(env: dict[str, str]) -> None:
    started = run(["engine", "start", "-m", "openai/gpt-4.1"], env)
    assert (started.code, started.stderr.count("\n")) == (2, 1)
    assert "is on a server: it needs no engine here" in started.stderr
    shown = run(["models", "info", "m@http://gpu:8000/v1"], env)
    assert shown.code == 3
    assert "`gptterm doctor --server http://gpu:8000/v1`" in shown.stderr


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('[servers.lab]\nurll = "x"\n', 2, "did you mean url?"),
        ('[servers.lab]\nurl = "x"\n', 2, "is neither an http(s) address"),
        ('[servers.lab]\nkey_env = "X"\n', 1, "[servers.lab] needs a url"),
        ("[servers]\nlab = 3\n", 2, "servers.lab must be a table"),
        ('[servers.openai]\nurl = "http://h"\n', 1, "OpenAI's own"),
        ('[servers."a/b"]\nurl = "http://h"\n', 1, "cannot be the name of a server"),
        ('[servers.lab]\nurl = "http://h"\ntimeout = 0\n', 3, "timeout must be"),
        ('[servers.lab]\nurl = "http://h"\nheaders = { A = "\\n" }\n', 3, "cannot be sent"),
    ],
)
def test_a_bad_server_in_the_configuration_is_told_with_its_line(
    text: str, line: int, part: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_config(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert part in str(caught.value)
