"""Controller of the TUI: chats, settings, the engine, and the queue of replies.

It knows no widgets: it emits events, and the screen reads the state that changed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from gptterm.config import Settings
from gptterm.conversation.nodes import Node
from gptterm.conversation.resume import resumed_model, system_text
from gptterm.engine.api import NextToken, Started
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import GpttermError
from gptterm.tui.state.background import spawn
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.chat_list import ChatList
from gptterm.tui.state.chat_tokens import ChatTokens
from gptterm.tui.state.downloads import Downloads
from gptterm.tui.state.engine_manager import EngineManager, Finder, find_model
from gptterm.tui.state.events import (
    ChatChanged,
    ChatOpened,
    ControllerEvent,
    EngineChanged,
    ModelMismatch,
    NoticeKind,
    Notified,
    ReplyEnded,
    ReplyStarted,
)
from gptterm.tui.state.model_loader import ModelLoader
from gptterm.tui.state.reply import QueuedReply, Reply
from gptterm.tui.state.settings_overrides import SettingsOverrides
from gptterm.tui.state.tints import ALTERNATIVES
from gptterm.tui.state.turns import Turn


class Controller:
    """Owns the state; what changes it is here or in the parts it owns.

    Args:
        settings: Settings to start with.
        emit: Called with every event.
        client: Client of the engine process.
        find: Finds models.
        history: File of the history.
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
        client.on_wait = self._set_ahead
        self.engine = EngineManager(client, find, lambda: emit(EngineChanged()))
        self.chat_list = ChatList(
            history, settings.save, lambda: Chat(self.settings.system), self._forward
        )
        self.downloads = Downloads(emit)
        self.reply: Reply | None = None
        """The running generation, else the last one."""
        self.replying: Chat | None = None
        """The chat of the running generation."""
        self.tokens = ChatTokens(self, lambda: self._emit(ChatChanged(self.chat, keep_scroll=True)))
        self._queue: list[QueuedReply] = []
        self._emit = emit
        self._generation: asyncio.Task[None] | None = None
        self.loader = ModelLoader(
            self,
            self._overrides,
            self._forward,
            make_way=self._cancel_generation,
            on_end=self._go_on,
        )

    @property
    def chat(self) -> Chat:
        """The open chat."""
        return self.chat_list.current

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self._overrides.settings

    def _forward(self, event: ControllerEvent) -> None:
        """Emit an event of the list of chats or of a load."""
        self._emit(event)
        if isinstance(event, ChatOpened):
            self.check_model()

    # ----------------------------------------------------------------------------- settings

    def change(self, **values: object) -> None:
        """Change settings, above all other layers; they act from the next token.

        Raises:
            GpttermError, ValueError: No such setting, preset or value. Nothing changes then.
        """
        self._overrides.change(**values)
        self._use_sampling()

    @property
    def biases(self) -> Mapping[int, float]:
        """Values added to the logits of the loaded model's tokens, by id; -inf is a ban."""
        return self._overrides.biases

    def set_bias(self, token_id: int, value: float) -> None:
        """Change the bias of a token until another model is loaded; 0 is none."""
        self._overrides.set_bias(token_id, value)
        self._use_sampling()

    def _use_sampling(self) -> None:
        """Have the running reply go on with the samplers that are set."""
        if self.replying is not None and not self.engine.is_remote:
            assert self.reply is not None
            sampling = self.settings.sampling
            self.replying.tree.change_sampling(self.reply.key, sampling)
            spawn(self.engine.client.set_sampling(sampling))

    def last_reply_for(self, key: str) -> Reply | None:
        """Return the last generation if it wrote this turn of the open chat."""
        reply = self.reply
        if reply is not None and (reply.chat, reply.key) == (self.chat, key):
            return reply
        return None

    def acts_next_reply(self, setting: str) -> bool:
        """Whether a change of a setting has no effect on the running reply."""
        later = self.engine.is_remote or setting in ("max_tokens", "stop", "seed")
        return self.replying is not None and later

    # ------------------------------------------------------------------------------- engine

    def _set_ahead(self, ahead: int) -> None:
        """Note how many generations of other clients a warm engine runs before ours."""
        if self.reply is not None:
            self.reply.ahead = ahead

    async def next_token(self, limit: int) -> NextToken | None:
        """Return the distribution after the open chat's text, under the settings in effect.

        None unless that is the text that the engine wrote last.
        """
        leaf = self.chat.tree.leaf
        if not self.engine.ready or leaf is None or self.last_reply_for(leaf) is None:
            return None
        try:
            return await self.engine.client.next_token(self.settings.sampling, limit)
        except GpttermError:
            # The engine died between question and answer; the generation reports it.
            return None

    async def close(self) -> str:
        """End all tasks and processes, and save what was written.

        Returns:
            Why it cannot be saved; empty if it was.
        """
        self._emit = _ignore
        if self.reply is not None and self.replying is not None:
            self.reply.cancelled = True
        tasks = [task for task in (self.loader.task, self._generation) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self.engine.close(), return_exceptions=True)
        return await self.chat_list.close()

    # -------------------------------------------------------------------------------- chats

    async def open_history(self, wanted: str | None) -> None:
        """Open the history, and the wanted chat; see `ChatList.open`.

        Raises:
            GpttermError: The wanted chat does not exist.
        """
        await self.chat_list.open(wanted)
        if wanted is None:
            return
        tree = self.chat.tree
        if (text := system_text(tree, self.settings, resumed=True)) != tree.system:
            self.set_system(text)
        if (model := resumed_model(tree, self.settings)) != self.settings.model:
            self.change(model=model)

    @property
    def other_model(self) -> str:
        """Model that wrote the open chat, if it is not the one that is loaded."""
        info, model = self.engine.info, self.chat.model
        return model if info is not None and self.engine.ready and model != info.name else ""

    def check_model(self) -> None:
        """Tell if another model than the loaded one wrote the open chat."""
        if (model := self.other_model) and self.replying is None:
            self._emit(ModelMismatch(model))

    async def poll_history(self) -> None:
        """Show what other programs have written, unless a reply is running here."""
        if self.replying is None:
            await self.chat_list.poll(self.is_busy)

    def set_system(self, text: str) -> None:
        """Set the system text of the open chat, from the next reply on."""
        self.chat.tree.system = text
        self.chat.save()
        self._emit(ChatChanged(self.chat))

    def select_sibling(self, key: str, by: int) -> None:
        """Select another version of a turn of the open chat."""
        self.chat.tree.select_sibling(key, by)
        self.chat.save()

    def select_turn(self, key: str) -> None:
        """Select the path to a turn of the open chat, and on from there."""
        self.chat.tree.select(key)
        self.chat.save()

    def name_branch(self, key: str, name: str) -> None:
        """Name the branch of the open chat that begins with a turn."""
        self.chat.tree.name_branch(key, name)
        self.chat.save()

    def save_draft(self, text: str) -> None:
        """Save text typed in the open chat, after the queued messages that are no turns yet."""
        queued = [queued.message for queued in self._queue if queued.chat is self.chat]
        self.chat_list.set_draft(self.chat, "\n\n".join(filter(None, [*queued, text])))

    def turns(self, chat: Chat) -> Iterator[Turn]:
        """Yield the turns of a chat to be shown, with its queued replies."""
        queued = [
            queued.message for queued in self._queue if queued.chat is chat and queued.reply is None
        ]
        tokens = self.tokens if chat is self.chat else None
        return chat.turns(self.engine.info, queued, self.wait_reason, tokens)

    # ------------------------------------------------------------------------------ replies

    def send(self, text: str) -> None:
        """Add a message to the open chat and have it answered as soon as possible."""
        if self.is_busy(self.chat):
            # A turn now would stand before the reply that the previous one still gets.
            self._enqueue(QueuedReply(self.chat, message=text))
        else:
            self._enqueue(QueuedReply(self.chat, self.chat.tree.add_user(text)))

    def edit(self, key: str, text: str) -> None:
        """Add another version of a turn; a user's message is answered anew."""
        chat = self.chat
        node = chat.tree.node(chat.tree.edit(key, text))
        if node.role == "user":
            self._enqueue(QueuedReply(chat, node.id))
        else:
            self._emit(ChatChanged(chat))

    def regenerate(self, key: str | None = None) -> bool:
        """Add a sibling to a reply, by default the last one. False if there is none."""
        question = self.chat.question_of(key)
        if question is None:
            return False
        self.chat.tree.select(question)
        seed = self.chat.next_seed(question, self.settings.seed)
        if seed is not None:
            self._notify("info", f"seed {seed}: the one that is set has made its reply already")
        self._enqueue(QueuedReply(self.chat, question, seed=seed))
        return True

    def continue_reply(self) -> bool:
        """Continue the last reply where it stopped. False if there is none."""
        tree = self.chat.tree
        reply = tree.last_reply()
        if reply is None or reply != tree.leaf:
            return False
        self._enqueue(QueuedReply(self.chat, tree.node(reply).parent, reply=reply))
        return True

    def grow(self, key: str, version: Node, *, goes_on: bool) -> str:
        """Add another version of a reply, and have it written on if it is not whole.

        Returns:
            The version's key.
        """
        chat = self.chat
        new = chat.tree.add_version(key, version)
        if goes_on:
            self._enqueue(QueuedReply(chat, chat.tree.node(new).parent, reply=new))
        else:
            chat.save()
            self._emit(ChatChanged(chat))
        return new

    def is_busy(self, chat: Chat) -> bool:
        """Whether a reply of this chat is running or queued."""
        return self.replying is chat or any(queued.chat is chat for queued in self._queue)

    @property
    def queued(self) -> int:
        """Number of queued replies."""
        return len(self._queue)

    @property
    def unsent(self) -> int:
        """Number of queued messages that are no turns yet."""
        return sum(bool(queued.message) for queued in self._queue)

    @property
    def wait_reason(self) -> str:
        """Why queued replies have not begun."""
        if self.engine.phase == "failed":
            return "waiting: there is no model"
        return f"waiting: {self.engine.activity or 'another reply is being written'}"

    def stop(self) -> bool:
        """Cancel the running generation and clear the queue. False if there was nothing."""
        removed, self._queue = self._queue, []
        stopped = bool(removed)
        for queued in removed:
            self._emit(ChatChanged(queued.chat))
        if self._generation is not None and self.reply is not None and self.replying is not None:
            self.reply.cancelled = True
            spawn(self.engine.client.cancel())
            stopped = True
        return stopped

    def _enqueue(self, queued: QueuedReply) -> None:
        self._queue.append(queued)
        queued.chat.save()
        self._emit(ChatChanged(queued.chat))
        if self.engine.phase == "failed":
            self.loader.load()
        else:
            self.loader.restart_if_dead()
        self._start_next()

    async def _cancel_generation(self) -> None:
        """Cancel the running generation and wait for its end."""
        if self._generation is not None and self.replying is not None:
            assert self.reply is not None
            self.reply.cancelled = True
            await self.engine.client.cancel()
            await asyncio.wait([self._generation])

    def _start_next(self) -> None:
        if self.replying is None and self._queue and self.engine.ready:
            queued = self._queue.pop(0)
            self.replying = queued.chat
            self._generation = asyncio.create_task(self._generate(queued))

    async def _generate(self, queued: QueuedReply) -> None:
        chat, tree = queued.chat, queued.chat.tree
        settings, info = self.settings, self.engine.info
        assert info is not None
        if queued.seed is not None:
            settings = msgspec.structs.replace(settings, seed=queued.seed)
        key = queued.begin(settings, info)
        reply = self.reply = Reply(chat, key)
        self._emit(ReplyStarted(chat, reply))
        try:
            await self.chat_list.commit(chat)
            if reply.cancelled:
                return
            scored = self.tokens.measure is not None and not self.engine.no_distribution
            logprobs = ALTERNATIVES if scored else None
            request = settings.request(chat.prompt(key, settings, info), logprobs=logprobs)
            async with contextlib.aclosing(self.engine.client.generate(request)) as events:
                async for event in events:
                    reply.apply(event)
                    chat.apply(key, event)
                    if isinstance(event, Started):
                        for notice in event.notices:
                            self._notify("warning", notice)
        except (GpttermError, ValueError) as error:
            tree.finish(key, "error", error=str(error))
            self._notify("error", str(error))
        finally:
            tree.finish(key, "cancelled" if reply.cancelled else "error")
            chat.save()
            self.replying = None
            self._emit(ReplyEnded(chat, reply))
        self._after_reply(reply, continued=queued.reply is not None)

    def _after_reply(self, reply: Reply, *, continued: bool) -> None:
        if continued and reply.finished is not None and not reply.tokens:
            self._notify("info", "the model has nothing to add")
        if reply.failed is not None and not reply.cancelled:
            self._notify("error", reply.failed.message)
        self.loader.restart_if_dead()
        self._start_next()

    def _go_on(self, loaded: bool) -> None:
        """Go on with the queue after a load; if that failed, show anew why replies wait."""
        if not loaded:
            for queued in self._queue:
                self._emit(ChatChanged(queued.chat))
        self._start_next()

    def _notify(self, kind: NoticeKind, text: str) -> None:
        self._emit(Notified(kind, text))


def _ignore(_event: ControllerEvent) -> None:
    pass
