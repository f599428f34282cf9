"""Exports of other programs, made up: a small chat or two of each format, with its oddities."""

import json
from pathlib import Path
from typing import Any

from gptterm.conversation.export import to_json
from gptterm.conversation.tree import Conversation
from gptterm.store import History
from gptterm.store.imports import Report, Source, import_files
from gptterm.store.imports.reading import DocumentReader
from gptterm.store.imports.sources import Document
from tests.store.chats import talk


def read(data: bytes | str | object) -> list[Conversation]:
    """The chats in a document: its text, or what becomes JSON."""
    return [chat.conversation for chat in reader(data)[1]]


def reader(data: bytes | str | object) -> tuple[DocumentReader, list[Any]]:
    """The same, with what was left out."""
    if not isinstance(data, bytes):
        data = (data if isinstance(data, str) else json.dumps(data)).encode("utf-8")
    left = [data]
    document = Document("document", len(data), False, lambda _: left.pop() if left else b"")
    found = DocumentReader(document)
    return found, list(found.chats())


def import_into(history: History, *sources: Source) -> Report:
    """Import files."""
    report = Report()
    import_files(history, sources, report)
    return report


def import_json(history: History, folder: Path, raw: object) -> Report:
    """Import a file with this JSON in it."""
    file = folder / "export.json"
    file.write_text(json.dumps(raw))
    return import_into(history, file)


# --------------------------------------------------------------------------------- ChatGPT


Entry = tuple[str | None, dict[str, Any] | None]
"""The parent of a message, and the message."""


def message(role: str, *parts: object, kind: str = "text", **more: Any) -> dict[str, Any]:
    content = {"content_type": kind, "parts": list(parts)}
    return {"author": {"role": role}, "content": content, "create_time": 5.0, **more}


def chatgpt(current: str, **entries: Entry) -> dict[str, Any]:
    """One conversation as ChatGPT exports it: id = (parent, message)."""
    mapping: dict[str, Any] = {
        name: {"id": name, "parent": parent, "children": [], "message": said}
        for name, (parent, said) in entries.items()
    }
    for name, (parent, _) in entries.items():
        if parent in mapping:
            mapping[parent]["children"].append(name)
    return {
        "title": "A <b>title</b>\x1b[2J", "create_time": 3.5, "update_time": 9.0,
        "mapping": mapping, "current_node": current, "conversation_id": "abc",
        "plugin_ids": None, "default_model_slug": "gpt-4o",
    }  # fmt: skip


def linear(*roles: str, **more: Any) -> dict[str, Any]:
    """One conversation of ChatGPT's without a branch."""
    entries: dict[str, Entry] = {
        f"n{number}": (f"n{number - 1}" if number else None, message(role, f"{number}"))
        for number, role in enumerate(roles)
    }
    return {**chatgpt(f"n{len(roles) - 1}", **entries), **more}


HIDDEN = {"is_visually_hidden_from_user_message": True}
BRANCHED = chatgpt(
    "a3",
    root=(None, None),
    sys=("root", message("system", "")),
    hidden=("sys", message("user", "about me", metadata=HIDDEN)),
    q1=("hidden", message("user", "first question")),
    a1=("q1", message("assistant", "first answer")),
    a2=("q1", message("assistant", "another answer")),
    q2=("a1", message("user", {"content_type": "image_asset_pointer"}, "what is it?",
                      kind="multimodal_text")),
    think=("q2", message("assistant", kind="thoughts")),
    call=("think", {"author": {"role": "assistant"},
                    "content": {"content_type": "code", "text": "look()"}}),
    tool=("call", message("tool", "a cat")),
    a3=("tool", message("assistant", "A cat.")),
)  # fmt: skip

# ------------------------------------------------------------------------------ the others

CLAUDE = {
    "uuid": "0a1b-claude", "name": "On tides", "summary": "",
    "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:02:00.000000Z",
    "account": {"uuid": "x"},
    "chat_messages": [
        {"uuid": "m1", "sender": "human", "text": "What is in it?",
         "content": [{"type": "text", "text": "What is in it?", "citations": []}],
         "created_at": "2024-05-01T10:00:00Z", "updated_at": "2024-05-01T10:00:00Z",
         "attachments": [{"file_name": "tides.txt", "file_size": 3, "file_type": "txt",
                          "extracted_content": "sea"}],
         "files": [{"file_uuid": "f", "file_name": "moon.png"}],
         "parent_message_uuid": "00000000-0000-4000-8000-000000000000"},
        {"uuid": "m2", "sender": "assistant",
         "text": "```\nThis block is not supported.\n```\n\nThe sea.",
         "content": [{"type": "thinking", "thinking": "hm"},
                     {"type": "tool_use", "name": "repl", "input": {"code": "1"}},
                     {"type": "tool_result", "content": [{"type": "text", "text": "1"}]},
                     {"type": "text", "text": "The sea."}],
         "created_at": "2024-05-01T10:00:05Z", "attachments": [], "files": [],
         "parent_message_uuid": "m1"},
        {"uuid": "m3", "sender": "assistant", "text": "Water.",
         "content": [{"type": "text", "text": "Water."}],
         "created_at": "2024-05-01T10:01:05Z", "attachments": [], "files": [],
         "parent_message_uuid": "m1"},
        {"uuid": "m4", "sender": "human", "text": "Why?", "content": [],
         "created_at": "2024-05-01T10:02:00Z", "attachments": [], "files": [],
         "parent_message_uuid": "m3"},
    ],
}  # fmt: skip

OPEN_WEBUI = {
    "id": "ow-1", "user_id": "u", "title": "Harbours", "archived": False, "pinned": False,
    "created_at": 1700000000, "updated_at": 1700000009, "meta": {"tags": ["sea"]},
    "chat": {
        "id": "", "title": "Harbours", "models": ["llama3"], "system": "Be brief.", "params": {},
        "history": {
            "messages": {
                "a": {"id": "a", "parentId": None, "childrenIds": ["b", "c"], "role": "user",
                      "content": "Name one", "timestamp": 1700000000, "models": ["llama3"],
                      "files": [{"type": "file", "file": {"filename": "map.pdf"}}]},
                "b": {"id": "b", "parentId": "a", "childrenIds": [], "role": "assistant",
                      "content": "Oslo", "model": "llama3", "timestamp": 1700000001},
                "c": {"id": "c", "parentId": "a", "childrenIds": ["d"], "role": "assistant",
                      "content": '<details type="reasoning" done="true" duration="2">\n'
                                 "<summary>Thought</summary>\n> hm\n</details>\nBergen",
                      "model": "qwen3", "timestamp": 1700000002},
                "d": {"id": "d", "parentId": "c", "childrenIds": [], "role": "user",
                      "content": [{"type": "text", "text": "And this?"},
                                  {"type": "image_url", "image_url": {"url": "data:..."}}],
                      "timestamp": 1700000003},
            },
            "currentId": "d",
        },
        "messages": [], "tags": [], "timestamp": 1700000000123,
    },
}  # fmt: skip

LM_STUDIO = {
    "name": "Local chat", "pinned": False, "createdAt": 1700000000000, "preset": "",
    "tokenCount": 5, "systemPrompt": "Be kind.", "lastUsedModel": {"identifier": "qwen2.5-7b"},
    "messages": [
        {"versions": [{"type": "singleStep", "role": "user",
                       "content": [{"type": "text", "text": "hi"},
                                   {"type": "file", "fileIdentifier": "notes.pdf",
                                    "fileType": "text/pdf", "sizeBytes": 9}]}],
         "currentlySelected": 0},
        {"versions": [
            {"type": "multiStep", "role": "assistant", "steps": [
                {"type": "contentBlock", "content": [{"type": "text", "text": "yo"}],
                 "genInfo": {"identifier": "qwen2.5-7b", "stats": {"tokensPerSecond": 9}}}]},
            {"type": "multiStep", "role": "assistant", "senderInfo": {"senderName": "mistral"},
             "steps": [
                {"type": "contentBlock", "style": {"type": "thinking", "ended": True},
                 "content": [{"type": "text", "text": "hm"}]},
                {"type": "debugInfoBlock", "debugInfo": "loaded"},
                {"type": "contentBlock",
                 "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}]},
         ], "currentlySelected": 1},
        {"versions": [{"type": "singleStep", "role": "user",
                       "content": [{"type": "text", "text": "and on"}]}], "currentlySelected": 0},
    ],
}  # fmt: skip

SHAREGPT = {
    "id": "identity_0", "system": "You are kind.",
    "conversations": [
        {"from": "human", "value": "Who are you?"},
        {"from": "gpt", "value": "A model."},
        {"from": "function_call", "value": '{"name": "look"}'},
        {"from": "observation", "value": "found"},
        {"from": "gpt", "value": "I looked."},
    ],
}  # fmt: skip

OPENAI = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "Be exact."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"},
                                     {"type": "image_url", "image_url": {"url": "https://e/x"}},
                                     {"type": "file", "file": {"filename": "a.pdf"}}]},
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "a dog"},
        {"role": "assistant", "content": "A dog."},
    ],
}  # fmt: skip

OLLAMA = {
    "model": "llama3",
    "messages": [
        {"role": "user", "content": "Draw it", "images": ["aGk="]},
        {"role": "assistant", "content": "I cannot.", "thinking": "hm"},
    ],
}

LLM_LOGS = [
    {"id": "01a", "model": "gpt-4o-mini", "prompt": "Ten names", "system": "Be short.",
     "prompt_json": None, "options_json": {}, "response": "Pelle", "response_json": None,
     "conversation_id": "01c", "duration_ms": 1200, "datetime_utc": "2024-05-01T10:00:00.123456",
     "conversation_name": "Ten names", "conversation_model": "gpt-4o-mini",
     "attachments": [{"id": "x", "type": "image/png", "path": "/home/u/cat.png", "url": None}]},
    {"id": "01x", "model": "o3", "prompt": "Other", "system": None, "response": "Chat",
     "conversation_id": "01y", "datetime_utc": "2024-05-01T10:30:00", "conversation_name": "Mine",
     "attachments": []},
    {"id": "01b", "model": "o3", "prompt": "More", "system": None, "response": "Lotta",
     "conversation_id": "01c", "datetime_utc": "2024-05-01T11:00:00", "conversation_name":
     "Ten names", "attachments": []},
]  # fmt: skip

OURS = json.loads(to_json(talk("question", "answer", "more", "and more", system="be kind")))

EXPORTS: dict[str, object] = {
    "gptterm": OURS,
    "chatgpt": [BRANCHED, linear("user", "assistant", conversation_id="def", title="Second")],
    "claude": [CLAUDE],
    "openwebui": [OPEN_WEBUI],
    "lmstudio": LM_STUDIO,
    "sharegpt": [SHAREGPT],
    "openai": OPENAI,
    "openai-list": OPENAI["messages"],
    "ollama": OLLAMA,
    "llm-logs": LLM_LOGS,
}
"""A file of each format."""
