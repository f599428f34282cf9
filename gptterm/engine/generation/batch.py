"""Continuous batching (Yu et al., "Orca", OSDI 2022): one step draws a token for every sequence.

Sequences of all lengths go side by side; one that has ended makes room at once for one that waits.
A row's logits depend on its own past only, so its text is what it would be alone (but where the
last bit of a sum, which a matrix product rounds by its size, decides between two tokens).
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gptterm.engine.api import Event, Failed, GenerateRequest, Started
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.prefix_cache import PrefixCache
from gptterm.engine.generation.sequence import Sequence, draw
from gptterm.engine.runtime.device import is_out_of_memory, release_memory
from gptterm.engine.sampling.chain import UnusableLogitsError
from gptterm.errors import GpttermError

Numbered = tuple[int, Event]
"""An event, and which request it belongs to."""
Begin = Callable[[GenerateRequest], tuple[Started, list[Sequence]]]
"""Renders and fits a request, and rewinds the prefix cache to what is known of it."""


@dataclass
class _Waiting:
    """Sequences that are alike so far, and have no row."""

    request: int
    sequences: list[Sequence]
    told: bool = False
    """Whether their prefill was reported."""


@dataclass
class _Member:
    """The sequence of a row: all but its last id are in the row's cache."""

    request: int
    sequence: Sequence


class Batch:
    """Runs many requests, at most `rows` sequences at once.

    Out of memory, it goes on with fewer rows; only what fails alone has failed.

    Args:
        prefix_cache: prefills prompts, so that one after another they share what they begin with.
        out_of_memory: what is said of a request for which even one row is too much.
    """

    def __init__(
        self,
        decoder: Decoder,
        prefix_cache: PrefixCache,
        begin: Begin,
        rows: int,
        out_of_memory: str,
    ) -> None:
        self._decoder = decoder
        self._prefix_cache = prefix_cache
        self._begin = begin
        self._most = self._limit = rows
        self._out_of_memory = Failed(kind="out_of_memory", message=out_of_memory)
        self._waiting: deque[_Waiting] = deque()
        self._members: list[_Member] = []
        self._rows = decoder.new_batched_cache()

    def run(self, requests: Iterable[GenerateRequest]) -> Generator[Numbered, None, None]:
        """The events of all requests, each with its request's number; a request's are in order."""
        incoming = enumerate(requests)
        while True:
            yield from self._fill(incoming)
            if not self._members:
                return
            yield from self._step()

    # --------------------------------------------------------------------------- coming in

    def _fill(self, incoming: Iterator[tuple[int, GenerateRequest]]) -> Iterator[Numbered]:
        """Let in what there is room for: first who waits already, then new requests."""
        while len(self._members) < self._limit:
            if not self._waiting:
                request = next(incoming, None)
                if request is None:
                    return
                yield from self._prepare(*request)
            if self._waiting:
                yield from self._admit(self._waiting.popleft())

    def _prepare(self, number: int, request: GenerateRequest) -> Iterator[Numbered]:
        try:
            started, sequences = self._begin(request)
        except GpttermError as error:
            yield number, Failed(kind=error.kind, message=str(error))
            return
        self._waiting.append(_Waiting(number, sequences))
        yield number, started

    def _admit(self, waiting: _Waiting) -> Iterator[Numbered]:
        """Prefill, and give as many of the sequences a row as there are; draw their next ids."""
        free = self._limit - len(self._members)
        sequences, rest = waiting.sequences[:free], waiting.sequences[free:]
        sequence = sequences[0].ids
        entering, entered = 1, False
        try:
            for event in self._prefix_cache.prefill(sequence):
                if not waiting.told:
                    yield waiting.request, event
            logits = self._prefix_cache.logits_after(sequence)
            waiting.told = True
            entering = len(sequences)
            self._rows.add(self._prefix_cache.cache, entering, sequences[0].max_length)
            entered = True
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Only now has the exception let go of the tensors in its traceback.
        if not entered:
            self._waiting.appendleft(waiting)
            yield from self._shrink(entering)
            return
        if rest:
            self._waiting.appendleft(_Waiting(waiting.request, rest, told=True))
        members = [_Member(waiting.request, sequence) for sequence in sequences]
        self._members += members
        yield from self._advance(members, logits.expand(len(members), -1))

    # --------------------------------------------------------------------------- decoding

    def _step(self) -> Iterator[Numbered]:
        """Feed every row its latest id and draw the next."""
        latest = torch.tensor([[member.sequence.ids[-1]] for member in self._members])
        logits: Tensor | None = None
        try:
            logits = self._decoder.forward(latest, self._rows)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        if logits is None:
            yield from self._shrink(0)
        else:
            yield from self._advance(self._members, logits)

    def _advance(self, members: list[_Member], logits: Tensor) -> Iterator[Numbered]:
        """Draw for the last rows of the batch, (len(members), vocabulary), which `members` are."""
        members = list(members)
        failed: dict[int, Failed] = {}
        while True:
            going = [i for i, member in enumerate(members) if member.request not in failed]
            some = logits if len(going) == len(members) else logits[going]
            try:
                chosen = draw(some, [members[i].sequence for i in going])
                break
            except UnusableLogitsError as error:
                number = members[going[error.row]].request
                failed[number] = Failed(kind="internal", message=str(error))
        for i, token_id in zip(going, chosen, strict=True):
            for event in members[i].sequence.advance(token_id, logits[i]):
                yield members[i].request, event
        yield from self._fail(failed)
        self._leave(lambda member: member.sequence.finish_reason is not None)

    # --------------------------------------------------------------------------- going out

    def _fail(self, failed: dict[int, Failed]) -> Iterator[Numbered]:
        """Give up these requests, all of their sequences."""
        yield from failed.items()
        if failed:
            self._waiting = deque(w for w in self._waiting if w.request not in failed)
            self._leave(lambda member: member.request in failed)

    def _leave(self, gone: Callable[[_Member], bool]) -> None:
        rows = [row for row, member in enumerate(self._members) if gone(member)]
        if len(rows) == len(self._members):
            self._members, self._rows = [], self._decoder.new_batched_cache()
            return
        for row in reversed(rows):
            self._rows.remove(row)
            self._members[row] = self._members[-1]
            self._members.pop()

    def _shrink(self, entering: int) -> Iterator[Numbered]:
        """After running out of memory: fewer rows, all of which are filled anew.

        Args:
            entering: rows that were not there yet; who they are for is the first that waits.
        """
        count = len(self._members) + entering
        out = [_Waiting(member.request, [member.sequence], told=True) for member in self._members]
        self._waiting.extendleft(reversed(out))
        self._members, self._rows = [], self._decoder.new_batched_cache()
        release_memory()
        if count > 1:
            self._limit = count // 2
        else:
            self._limit = self._most  # it was not the others' fault
            yield from self._fail({self._waiting[0].request: self._out_of_memory})
