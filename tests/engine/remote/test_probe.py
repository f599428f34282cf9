"""The report on a server, against servers of several kinds."""

from gptterm.engine.remote.probe import ServerReport, probe
from gptterm.engine.remote.servers import Access, Servers
from tests.support.llm_server import (
    Answer,
    LlmServer,
    chat,
    completion,
    refusal,
    sse,
    usage,
)

TOP = {"token": "Hi", "logprob": -0.1, "bytes": list(b"Hi")}
CHAT = Answer(
    sse(
        chat("Hi", logprobs={"content": [{**TOP, "top_logprobs": [TOP] * 3}]}),
        chat(finish="stop"),
        usage(3, 1),
    )
)
TEXT = Answer(sse(completion("Hi"), completion(finish="length")))


async def report(server: LlmServer, model: str = "") -> ServerReport:
    remote = Servers().find(f"{model}@{server.url}")
    assert remote is not None
    return await probe(remote, Access())


async def test_each_form_is_tried_with_all_samplers() -> None:
    models = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 4096}]
    with LlmServer(CHAT, TEXT, models=models) as server:
        found = await report(server)
    assert found.models == ("qwen",)
    assert (found.remote.dialect, found.remote.context_length) == ("vllm", 4096)
    assert [form.problem for form in found.forms.values()] == ["", ""]
    assert [form.alternatives for form in found.forms.values()] == [3, None]
    assert [form.told_counts for form in found.forms.values()] == [True, False]
    assert found.no_logprobs == ""
    assert found.left_out == {"typical-p": "vLLM does not take it"}
    assert [post.path for post in server.posts] == ["/v1/chat/completions", "/v1/completions"]
    assert "min_p" in server.posts[0].body


async def test_what_a_server_refuses_is_told() -> None:
    no_top_k = refusal(400, {"error": {"message": "Unrecognized argument: top_k"}})
    gone = refusal(404, {"error": {"message": "no such path"}})
    with LlmServer(no_top_k, CHAT, gone, models=[{"id": "m"}]) as server:
        found = await report(server)
    assert found.forms["chat"].problem == ""
    assert "(404" in found.forms["continuation"].problem
    assert "Unrecognized argument" in found.left_out["top-k"]
    assert "top-k" not in found.samplers


async def test_a_model_without_a_chat_is_told() -> None:
    no = refusal(404, {"error": {"message": "This is not a chat model"}})
    with LlmServer(no, TEXT, models=[{"id": "davinci"}]) as server:
        found = await report(server)
    assert "a transcript is continued" in found.forms["chat"].problem
    assert found.forms["continuation"].problem == ""
    assert found.no_logprobs == "the server sends none"


async def test_of_several_models_none_is_tried_unless_named() -> None:
    with LlmServer(CHAT, models=[{"id": "a"}, {"id": "b"}]) as server:
        assert (await report(server)).forms == {}
        assert server.posts == []
        assert (await report(server, "b")).forms
    with LlmServer(CHAT) as server:
        found = await report(server)
    assert (found.models, found.forms) == (None, {})
