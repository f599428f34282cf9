"""Write mode's state: a document, its file, and the generation that continues it.

It knows no widgets: it calls `on_change`, and the screen reads what changed.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from gptterm.config import Settings
from gptterm.conversation.nodes import Generation
from gptterm.document.biases import biases_of, words_of
from gptterm.document.branches import count_branches
from gptterm.document.pruning import Pruning
from gptterm.document.seen import CHARS_A_TOKEN, beside_texts, seen_prompt, seen_text
from gptterm.document.stretches import changed_stretch
from gptterm.document.text_file import TextFile
from gptterm.document.tree import Document
from gptterm.engine.api import (
    Alternative,
    ModelInfo,
    Prompt,
    SamplingParams,
    TextPrompt,
)
from gptterm.errors import GpttermError
from gptterm.format import plural
from gptterm.terminal import one_line
from gptterm.threads import in_daemon_thread
from gptterm.tui.state.background import spawn
from gptterm.tui.state.chat_tokens import WalkedToken
from gptterm.tui.state.continuing import Continuing
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.document_settings import OwnSettings
from gptterm.tui.state.document_tokens import DocumentTokens
from gptterm.tui.state.events import NoticeKind

if TYPE_CHECKING:
    from gptterm.store.documents import DocumentSaver

MOST_SAMPLES = 16
Order = Literal["age", "perplexity", "length"]
ORDERS: tuple[Order, ...] = ("age", "perplexity", "length")
_AFTER = 4
"""Characters of the text behind the cursor, a token of the context: more than is read of it."""


class Writing:
    """One document that is written with the controller's engine and settings.

    Args:
        file: the document's file; None for one that has none.
        on_change: called when the text or the versions have changed.
        notify: called with a line for the user.
        name: id of the document, a new one's too; empty: the one of the file, or without a file the
            one written to last.
        beside: fields of the document's settings, which replace those that are kept.
    """

    def __init__(
        self,
        controller: Controller,
        file: Path | None,
        on_change: Callable[[], None],
        notify: Callable[[NoticeKind, str], None],
        *,
        name: str = "",
        beside: Mapping[str, object] | None = None,
    ) -> None:
        self.controller = controller
        self._name = name
        self._beside = beside or {}
        self.file = None if file is None else TextFile(file)
        self.document = Document()
        self._pruning = Pruning(self.document)
        self.opened = False
        """Whether the document was loaded; it cannot be edited before."""
        self.own = OwnSettings(controller, lambda: self.document)
        self.text_tokens = DocumentTokens(
            controller.engine, lambda: self.document, lambda: self.sampling, on_change
        )
        self.order: Order = "age"
        """Order of the continuations."""
        self.kept: set[str] = set()
        """Continuations that were marked to be kept."""
        self._saver: DocumentSaver | None = None
        self._on_change = on_change
        self._notify = notify
        self.generation = Continuing(controller, lambda: self.document, on_change, notify)
        self._filed = ""
        """The text that the file has."""
        self._warned = ""
        """The problem with saving that the user was told of."""
        self._asked_overwrite = False

    @property
    def title(self) -> str:
        """The name of the file, or the title that was given to the text; empty for none."""
        if self.file is not None:
            return self.file.path.name
        return "" if self._saver is None else self._saver.title

    def take_title(self) -> None:
        """Take over the title that the text has in the list by now, whoever has renamed it."""
        for listed in self.controller.chat_list.texts:
            if self._saver is not None and listed.id == self._saver.document.id:
                self._saver.title = listed.title if listed.titled else ""

    @property
    def streaming(self) -> bool:
        """Whether a continuation is being written."""
        return bool(self.generation.versions)

    @property
    def is_filed(self) -> bool:
        """Whether the file has the text; a document without a file counts as filed."""
        return self.file is None or self._filed == self.document.text

    async def open(self) -> None:
        """Load the document of the file from the history; take over what the file has by now.

        Raises:
            GpttermError: the file cannot be read.
        """
        file = self.file
        key = "" if file is None else str(file.path)
        self._saver = await self.controller.chat_list.open_document(key, self._name)
        if self._saver is not None:
            self.document = self._saver.document
            self._pruning = Pruning(self.document)
        if file is not None:
            text = self._filed = await in_daemon_thread(file.read)
            self._take_over(text, file)
        settings = msgspec.structs.replace(self.document.settings, **self._beside)
        self.document.settings = settings
        if model := self.own.restore_model():
            self._notify("info", f"{one_line(model)} wrote this text last: it is loaded for it")
        self.opened = True
        self._on_change()

    def _take_over(self, text: str, file: TextFile) -> None:
        if not file.digest:
            return  # it is not there yet, or no more
        document = self.document
        known = self._saver is not None and self._saver.digest == file.digest
        if not known and text != document.text:
            if len(document):
                self._notify("info", f"{file.name} was changed elsewhere: undo shows what was here")
            document.replace(*changed_stretch(document.text, text))
        elif text != document.text:
            self._notify("info", "what was not written to the file yet is here again")
        if self._saver is not None:
            self._saver.digest = file.digest

    # ------------------------------------------------------------------------------- saving

    def save_history(self) -> None:
        """Have the changes written to the history in the background; call it often."""
        saver = self._saver
        if saver is None:
            return
        saver.save()
        if saver.error != self._warned:
            self._warned = saver.error
            if saver.error:
                self._notify("warning", f"the text is in memory only: {saver.error}")

    def write_file(self) -> None:
        """Write the document's file; if it was changed elsewhere, only the second time."""
        if self.file is None:
            self._notify("info", "this text has no file, only the history: gptterm write FILE")
            return
        if self.file.changed_elsewhere() and not self._asked_overwrite:
            self._asked_overwrite = True
            self._notify(
                "warning", f"{self.file.name} was changed elsewhere: once more overwrites it"
            )
            return
        self._asked_overwrite = False
        try:
            self.file.write(self.document.text)
        except GpttermError as error:
            self._notify("error", str(error))
            return
        self._filed = self.document.text
        self.document.go(self.document.current)  # typing does not join what the file has
        if self._saver is not None:
            self._saver.digest = self.file.digest
        self._notify("good", f"wrote {self.file.name}")
        self._on_change()

    async def close(self) -> None:
        """Stop, and write the rest to the history."""
        self.stop()
        await self.generation.wait()
        if self._saver is not None:
            await in_daemon_thread(self._saver.flush)

    # ------------------------------------------------------------------------------ editing

    def edit(self, start: int, end: int, text: str) -> None:
        """Replace a stretch of the text, as typing and pasting do; a stream ends before."""
        self.stop()
        self.document.replace(start, end, text, typing=len(text) <= 1)
        cut = self.document.cut_tokens
        if cut:
            self._notify("info", f"{plural(cut, 'token')} cut in two: read anew from here on")
        self._on_change()

    def undo(self) -> bool:
        """Go to the version before; False at the beginning."""
        self.stop()
        moved = self.document.undo()
        self._on_change()
        return moved

    def redo(self) -> bool:
        """Go to the version after, the one that was in view last; False at the end."""
        self.stop()
        moved = self.document.redo()
        self._on_change()
        return moved

    def show(self, version: str) -> None:
        """Bring another continuation into view; those that stream go on."""
        self.document.go(version)
        self._on_change()

    def drop_others(self) -> int:
        """Prune the continuations without a mark, if some have one; return how many."""
        versions = self.continuations
        marked = [version for version in versions if version in self.kept]
        dropped = [version for version in versions if version not in self.kept]
        if not marked or not dropped:
            return 0
        self.stop()
        shown = self.document.current
        self.document.go(shown if shown in marked else marked[0])
        for version in dropped:
            self._pruning.prune(version)
        self.kept.clear()
        self._on_change()
        return len(dropped)

    def prune(self, version: str) -> int:
        """Prune the branch that begins with a version; return how many with those below it."""
        self.stop()
        below = count_branches(self.document, version)
        self._pruning.prune(version)
        self._on_change()
        return below

    def restore(self) -> int:
        """Bring back what was pruned or merged last; return how many branches."""
        self.stop()
        restored = len(self._pruning.restore())
        self._on_change()
        return restored

    def merge(self) -> int:
        """Merge equal branches; return how many."""
        self.stop()
        merged = self._pruning.merge()
        self._on_change()
        return merged

    @property
    def continuations(self) -> tuple[str, ...]:
        """The versions beside the one in view that models wrote at its place, itself included."""
        document, current = self.document, self.document.current
        if current is None:
            return ()
        edit = document.edit(current)
        siblings = (document.edit(other) for other in document.children(edit.parent))
        found = [
            other
            for other in siblings
            if other.run is not None and (other.start, other.removed) == (edit.start, edit.removed)
        ]
        if self.order == "perplexity":
            found.sort(key=lambda other: other.perplexity or math.inf)
        elif self.order == "length":
            found.sort(key=lambda other: -len(other.text))
        return tuple(other.id for other in found)

    # -------------------------------------------------------------------------- continuing

    @property
    def settings(self) -> Settings:
        """The settings of the chat, with the document's own above them."""
        return self.own.settings

    @property
    def sampling(self) -> SamplingParams:
        """The samplers, with the biases of this document and without those of the chat."""
        return self._biased(self.settings.sampling)

    def _biased(self, sampling: SamplingParams) -> SamplingParams:
        biases = biases_of(self.document, self.controller.engine.info)
        return msgspec.structs.replace(
            sampling,
            logit_bias=tuple(biases.items()),
            word_bias=tuple(words_of(self.document).items()),
        )

    def seen_from(self, place: int) -> int | None:
        """Return the place from which on a continuation at a place sees the text; None: unknown."""
        info = self.controller.engine.info
        if info is None or not info.context_length:
            return None
        context = info.context_length
        beside = sum(map(len, beside_texts(self.document))) // CHARS_A_TOKEN
        room = context - min(self.settings.max_tokens, context // 2) - beside
        return self.text_tokens.seen_from(place, max(0, room))

    def use_samplers(self) -> None:
        """Have what is being written go on with the samplers that are set by now."""
        if self.streaming and not self.controller.engine.is_remote:
            self.document.change_sampling(self.sampling)
            spawn(self.controller.engine.client.set_sampling(self.sampling))

    def stop(self) -> bool:
        """End the continuations with the text so far; False if none is written."""
        return self.generation.stop()

    def continue_at(
        self, place: int, samples: int = 1, task: str = "", beside: str | None = None
    ) -> bool:
        """Begin continuations of the text up to a place; False, with a notice, if that cannot be.

        More of a place that has some go beside those.

        Args:
            task: whose settings win over those of the text.
            beside: the version in view, if they are to replace it, and not to follow it.
        """
        problem = self._problem(place)
        if problem:
            self._notify("info", problem)
            return False
        info, settings = self.controller.engine.info, self.settings
        assert info is not None
        if task:
            settings = settings.with_task(task, chat=False)
        before = self.document.current
        if beside is not None:
            self.document.go(self.document.edit(beside).parent)
        settings = msgspec.structs.replace(settings, seed=self._next_seed(place, settings.seed))
        self.own.note_model()
        after = self._after(place, info)
        prompt: Prompt = msgspec.structs.replace(
            seen_prompt(self.document, place, info), after=after
        )
        if after:
            self._notify("info", "fills the middle: the model reads the text after it too")
        if self.controller.engine.is_remote:
            prompt = TextPrompt(text=seen_text(self.document, place))
        run = self._run(info, settings)
        versions = self.document.begin(place, run, samples)
        logprobs = None if self.controller.engine.is_remote else 0
        request = settings.request(prompt, samples=samples, logprobs=logprobs)
        request = msgspec.structs.replace(request, sampling=run.sampling)
        self.generation.begin(versions, request, before)
        self._on_change()
        return True

    def _next_seed(self, place: int, seed: int | None) -> int | None:
        """A seed that is set, or the first after those of the continuations that are there."""
        document = self.document
        edits = (document.edit(child) for child in document.children(document.current))
        used = {edit.run.seed for edit in edits if edit.run is not None and edit.start == place}
        if seed is None or seed not in used:
            return seed
        following = max(other for other in used if other is not None) + 1
        self._notify("info", f"seed {following}: the one that is set has continued this already")
        return following

    def _after(self, place: int, info: ModelInfo) -> str:
        """The text behind a place, as far as a model may read it that fills the middle."""
        after = self.document.text[place : place + _AFTER * info.context_length]
        return after if info.fills_middle and after.strip() else ""

    def _run(self, info: ModelInfo, settings: Settings) -> Generation:
        """Model and settings of a continuation."""
        return Generation.for_model(
            info, self._biased(settings.sampling),
            seed=settings.seed, max_tokens=settings.max_tokens, stop=settings.stop,
            until=settings.until, raw=True,
        )  # fmt: skip

    def swap(self, walked: WalkedToken, text: str, token: Alternative) -> str:
        """Put another token in the place of one, from where the text is to be continued.

        What a model wrote after it in one go is regrown; what a person wrote stays.

        Args:
            text: what the token spells; empty: it ends the text.

        Returns:
            Why that cannot be now; empty if it is done.
        """
        problem = self._problem(len(self.document.text))
        info = self.controller.engine.info
        if problem or info is None:
            return problem
        end = max(walked.end, self.document.run_end(walked.start))
        if text:
            self.document.swap(walked.start, end, text, token, self._run(info, self.settings))
        else:
            self.document.replace(walked.start, end, "")
        self._on_change()
        return ""

    def _problem(self, place: int) -> str:
        """Why nothing can be continued now; empty if it can."""
        engine = self.controller.engine
        if self.generation.is_busy:
            return "a continuation is being written: Esc stops it"
        if self.controller.replying is not None:
            return "a reply of the chat is being written"
        if not engine.ready:
            return engine.error or f"the model is not ready: {engine.activity or engine.phase}"
        if not self.document.text[:place].strip():
            return "write a few words first: a model continues what is there"
        return ""
