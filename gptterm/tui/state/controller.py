"""What goes on behind the screen: chats, the engine, the queue, the running generation.

No widget is known here. The screen is told by small values that something changed, and reads it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path

from gptterm.config import Settings
from gptterm.conversation.nodes import Generation
from gptterm.engine.api import NextToken, Started
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import GpttermError
from gptterm.tui.state.chat import SYSTEM, Chat
from gptterm.tui.state.chat_list import ChatList
from gptterm.tui.state.engine_manager import EngineManager, Finder, find_model
from gptterm.tui.state.events import (
    ChatChanged,
    ChatOpened,
    ControllerEvent,
    EngineChanged,
    ModelMismatch,
    Notified,
    ReplyEnded,
    ReplyStarted,
)
from gptterm.tui.state.reply import QueuedReply, Reply
from gptterm.tui.state.settings_overrides import SettingsOverrides
from gptterm.tui.widgets.transcript.turn_view import TurnView


class Controller:
    """Owns the state; everything that changes it is a method here.

    Args:
        settings: To begin with.
        emit: Called with every event.
        client: The engine's process.
        find: How models are found.
        history: Where chats are kept.
    """

    def __init__(
        self,
        settings: Settings,
        emit: Callable[[ControllerEvent], None],
        client: EngineClient,
        find: Finder = find_model,
        *,
        history: Path,
    ) -> None:
        self._overrides = SettingsOverrides(settings)
        client.on_wait = self._waits
        self.engine = EngineManager(client, find, lambda: emit(EngineChanged()))
        self.chat_list = ChatList(
            history, settings.save, lambda: Chat(self.settings.system), self._note
        )
        self.reply: Reply | None = None
        """The running generation, else the last one."""
        self.replying: Chat | None = None
        """The chat that a generation is running for."""
        self._queue: list[QueuedReply] = []
        self._emit = emit
        self._task: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None

    @property
    def chat(self) -> Chat:
        """The chat in front."""
        return self.chat_list.chat

    @property
    def settings(self) -> Settings:
        """Those in effect."""
        return self._overrides.settings

    def _note(self, change: ControllerEvent) -> None:
        self._emit(change)
        if isinstance(change, ChatOpened):
            self._offer_model()

    # ----------------------------------------------------------------------------- settings

    def change(self, **values: object) -> None:
        """Set values by hand, above all other layers; they act from the next token.

        Raises:
            GpttermError, ValueError: no such setting, preset or value. Nothing changes then.
        """
        self._overrides.change(**values)
        if self.replying is not None:
            assert self.reply is not None
            sampling = self.settings.sampling
            self.replying.tree.change_sampling(self.reply.key, sampling)
            self._spawn(self.engine.client.set_sampling(sampling))

    def written_last(self, key: str) -> Reply | None:
        """The generation that this turn of the open chat got last, if no other came after it."""
        reply = self.reply
        if reply is not None and (reply.chat, reply.key) == (self.chat, key):
            return reply
        return None

    def counts_later(self, setting: str) -> bool:
        """Whether a change does not act on the reply that is being written."""
        return self.replying is not None and setting in ("max_tokens", "stop", "seed")

    # ------------------------------------------------------------------------------- engine

    def load(self, model: str | None = None) -> None:
        """Load the model of the settings, or another one; what is generated is stopped."""
        if model is not None:
            self._overrides.change_model(model)
        if self._loading is not None:
            self._loading.cancel()
        self.engine.leave()
        self._loading = asyncio.create_task(self._load(chosen=model is not None))

    async def _load(self, *, chosen: bool) -> None:
        await self._halt()
        if not await self.engine.load(self.settings):
            self._overrides.go_back()
            self._emit(Notified("error", self.engine.error))
            self._emit_queued()
            self._next()
            return
        source, info = self.engine.source, self.engine.info
        assert source is not None
        assert info is not None
        for notice in (*source.notices, *info.notices):
            self._emit(Notified("warning", notice))
        from gptterm.models import generation_defaults

        self._overrides.set_model_defaults(generation_defaults(source))
        self._emit(EngineChanged())
        if not chosen:
            self._offer_model()
        self._next()

    async def _revive(self) -> None:
        """Start the engine again after it died."""
        if self.engine.client.alive:
            return
        if await self.engine.reload(self.settings):
            self._emit(Notified("info", "the engine was started again"))
            self._next()
        else:
            self._emit(Notified("error", self.engine.error))
            self._emit_queued()

    def _waits(self, ahead: int) -> None:
        """A warm engine has other clients' generations before ours."""
        if self.reply is not None:
            self.reply.ahead = ahead

    async def next_token(self, limit: int) -> NextToken | None:
        """The distribution after the text in view, under the settings in effect.

        None where that is not the text that the engine has written last.
        """
        leaf = self.chat.tree.leaf
        if not self.engine.ready or leaf is None or self.written_last(leaf) is None:
            return None
        try:
            return await self.engine.client.next_token(self.settings.sampling, limit)
        except GpttermError:
            # The engine died between the question and the answer; the generation says so.
            return None

    async def close(self) -> str:
        """End everything; nothing is left behind, and what was made is kept.

        Returns:
            Why it cannot be kept, if it cannot.
        """
        self._emit = _ignore
        if self.reply is not None and self.replying is not None:
            self.reply.cancelled = True
        tasks = [task for task in (self._loading, self._task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self.engine.client.close(), return_exceptions=True)
        return await self.chat_list.close()

    # -------------------------------------------------------------------------------- chats

    async def open_history(self, wanted: str | None, *, reopen: bool) -> None:
        """Open the history and the chat to begin with; see `ChatList.open`.

        Raises:
            GpttermError: the chat that is wanted is not there.
        """
        await self.chat_list.open(wanted, reopen=reopen)
        given = self.settings.system or ""
        if wanted is not None and given and self.settings.origins["system"] == "option":
            # It has its own, but an option is meant for this very chat.
            self.set_system(given)
        if wanted is not None and self.settings.model_is_default and self.chat.model:
            self.change(model=self.chat.model)

    @property
    def other_model(self) -> str:
        """The model that wrote the open chat, when it is another than the one that is loaded."""
        info, model = self.engine.info, self.chat.model
        return model if info is not None and self.engine.ready and model != info.name else ""

    def _offer_model(self) -> None:
        if (model := self.other_model) and self.replying is None:
            self._emit(ModelMismatch(model))

    async def look(self) -> None:
        """Show what other programs have written, unless a reply is running here."""
        if self.replying is None:
            await self.chat_list.look(self.busy_with)

    def set_system(self, text: str) -> None:
        """Set the system text of the open chat; it counts from the next reply."""
        self.chat.tree.system = text
        self.chat.save()
        self.chat.forget(SYSTEM)
        self._emit(ChatChanged(self.chat))

    def step(self, key: str, by: int) -> None:
        """Open another version of a turn of the open chat."""
        self.chat.tree.select_sibling(key, by)
        self.chat.save()

    def draft(self, text: str) -> None:
        """Keep what is typed in the open chat, and before it what waits and is no turn yet."""
        waiting = [wanted.message for wanted in self._queue if wanted.chat is self.chat]
        self.chat_list.set_draft(self.chat, "\n\n".join(filter(None, [*waiting, text])))

    # ----------------------------------------------------------------------------- replying

    def send(self, text: str) -> None:
        """Add a message to the open chat and have it answered, now or when the engine can."""
        if self.busy_with(self.chat):
            # As a turn it would stand before the reply that the one before it still gets.
            self._want(QueuedReply(self.chat, message=text))
        else:
            self._want(QueuedReply(self.chat, self.chat.tree.add_user(text)))

    def edit(self, key: str, text: str) -> None:
        """Put another version of a turn beside it; a message of the user's is answered anew."""
        chat = self.chat
        node = chat.tree.node(chat.tree.edit(key, text))
        if node.role == "user":
            self._want(QueuedReply(chat, node.id))
        else:
            self._emit(ChatChanged(chat))

    def regenerate(self, key: str | None = None) -> bool:
        """Make another reply beside a reply, by default the last one. False: there is none."""
        question = self.chat.question_of(key)
        if question is None:
            return False
        self.chat.tree.select(question)
        self._want(QueuedReply(self.chat, question))
        return True

    def resume(self) -> bool:
        """Continue the last reply where it stopped. False: there is none."""
        tree = self.chat.tree
        reply = tree.last_reply()
        if reply is None or reply != tree.leaf:
            return False
        self._want(QueuedReply(self.chat, tree.node(reply).parent, reply=reply))
        return True

    def view_of(self, chat: Chat) -> list[TurnView]:
        """The turns of a chat, to be shown."""
        info = self.engine.info
        chat_model = None if info is None else info.has_chat_template
        markdown = chat_model and self.settings.form != "raw"
        waiting = [
            wanted.message for wanted in self._queue if wanted.chat is chat and wanted.reply is None
        ]
        return chat.views(markdown, waiting, self.waiting_because)

    def busy_with(self, chat: Chat) -> bool:
        """Whether a reply of this chat is running or waiting."""
        return self.replying is chat or any(wanted.chat is chat for wanted in self._queue)

    @property
    def waiting(self) -> int:
        """How many replies wait for the engine."""
        return len(self._queue)

    @property
    def unsent(self) -> int:
        """How many messages are no turns yet."""
        return sum(bool(wanted.message) for wanted in self._queue)

    @property
    def waiting_because(self) -> str:
        """Why a reply has not begun."""
        if self.engine.phase == "failed":
            return "waiting: there is no model"
        return f"waiting: {self.engine.activity or 'another reply is being written'}"

    def _want(self, wanted: QueuedReply) -> None:
        self._queue.append(wanted)
        wanted.chat.save()
        self._emit(ChatChanged(wanted.chat))
        if self.engine.phase == "failed":
            self.load()
        elif self.engine.phase == "ready" and not self.engine.client.alive:
            self._loading = asyncio.create_task(self._revive())
        self._next()

    def stop(self) -> bool:
        """Stop the running generation and forget the waiting ones. False: there was nothing."""
        given_up, self._queue = self._queue, []
        stopped = bool(given_up)
        for wanted in given_up:
            self._emit(ChatChanged(wanted.chat))
        if self._task is not None and self.reply is not None and self.replying is not None:
            self.reply.cancelled = True
            self._spawn(self.engine.client.cancel())
            stopped = True
        return stopped

    async def _halt(self) -> None:
        """Stop what is running and wait for its end."""
        if self._task is not None and self.replying is not None:
            assert self.reply is not None
            self.reply.cancelled = True
            await self.engine.client.cancel()
            await asyncio.wait([self._task])

    def _next(self) -> None:
        if self.replying is None and self._queue and self.engine.ready:
            wanted = self._queue.pop(0)
            self.replying = wanted.chat
            self._task = asyncio.create_task(self._generate(wanted))

    async def _generate(self, wanted: QueuedReply) -> None:
        chat, tree = wanted.chat, wanted.chat.tree
        settings, info = self.settings, self.engine.info
        assert info is not None
        run = Generation.for_model(
            info,
            settings.sampling,
            seed=settings.seed,
            max_tokens=settings.max_tokens,
            stop=settings.stop,
            raw=settings.form == "raw",
        )
        if wanted.reply is None:
            key = tree.begin_reply(wanted.question or tree.add_user(wanted.message), run)
        else:
            key = wanted.reply
            tree.continue_reply(key, run)
        reply = self.reply = Reply(chat, key)
        chat.begin(key)
        self._emit(ReplyStarted(chat, reply))
        try:
            await self.chat_list.commit(chat)
            if reply.cancelled:
                return
            request = settings.request(chat.prompt(key, settings, info))
            async with contextlib.aclosing(self.engine.client.generate(request)) as events:
                async for event in events:
                    reply.apply(event)
                    chat.apply(key, event)
                    if isinstance(event, Started):
                        for notice in event.notices:
                            self._emit(Notified("warning", notice))
        except (GpttermError, ValueError) as error:
            tree.finish(key, "error", error=str(error))
            self._emit(Notified("error", str(error)))
        finally:
            tree.finish(key, "cancelled" if reply.cancelled else "error")
            chat.save()
            chat.forget(key)
            self.replying = None
            self._emit(ReplyEnded(chat, reply))
        self._after(reply, continued=wanted.reply is not None)

    def _after(self, reply: Reply, *, continued: bool) -> None:
        if continued and reply.finished is not None and not reply.tokens:
            self._emit(Notified("info", "the model has nothing to add"))
        if reply.failed is not None and not reply.cancelled:
            self._emit(Notified("error", reply.failed.message))
        if not self.engine.client.alive:
            self._loading = asyncio.create_task(self._revive())
        self._next()

    def _emit_queued(self) -> None:
        for wanted in self._queue:
            self._emit(ChatChanged(wanted.chat))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)


_TASKS: set[asyncio.Task[None]] = set()
"""The event loop itself holds its tasks only weakly."""


def _ignore(_change: ControllerEvent) -> None:
    pass
