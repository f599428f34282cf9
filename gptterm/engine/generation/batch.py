"""Continuous batching (Yu et al., "Orca", OSDI 2022): one step draws a token for every sequence.

Sequences of all lengths are decoded side by side; one that ends makes room at once for one that
waits. A prompt is prefilled by chunks between the steps (Agrawal et al., "Sarathi", 2023), so that
none of the others waits for longer than a chunk takes. A row's logits depend on its own past only,
so its text is what it would be alone (except where rounding, which may depend on the shape of a
matrix product, decides between two tokens).

A sequence that is alone leaves the rows: `SoloDecoding` and `StaticDecoding` are faster for one.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from gptterm.engine.api import (
    Event,
    Failed,
    GenerateRequest,
    NextToken,
    Prefilled,
    SamplingParams,
)
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding, StaticRun
from gptterm.engine.generation.prefix_cache import PrefixPool
from gptterm.engine.generation.request_queue import RequestQueue
from gptterm.engine.generation.row_decoding import RowDecoding
from gptterm.engine.generation.sequence import draw
from gptterm.engine.generation.sequence_group import Entry, Row, SequenceGroup
from gptterm.engine.generation.solo_decoding import SoloDecoding, solo_decoding
from gptterm.engine.runtime.device import is_out_of_memory, release_memory
from gptterm.engine.sampling.chain import UnusableLogitsError
from gptterm.engine.sampling.distribution import next_token_distribution
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import GpttermError, OutOfMemoryError

Numbered = tuple[int, Event]
"""An event, and the number of the request it belongs to."""
OnError = Callable[[Exception], Failed]

_ADMISSION_CHUNK = 64
"""Tokens of a prompt fed between two steps of other sequences, where the size of a chunk does not
change any bit: GPT-2 124M feeds 64 tokens at once as fast per token as 256 (int8, two cores)."""


@dataclass(eq=False)
class _Solo:
    """The only sequences there are, decoded outside the rows."""

    group: SequenceGroup
    decoding: SoloDecoding | StaticRun


class Batch:
    """Runs requests side by side, at most `rows` sequences at once.

    Out of memory, it goes on with fewer rows. A request that fails ends alone.

    Args:
        prefixes: where prompts are prefilled.
        static: decodes what is alone on a GPU.
        on_error: makes an unforeseen exception the failure of the request that it belongs to;
            None raises it out of `step`.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        prefixes: PrefixPool,
        rows: int,
        static: StaticDecoding | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._prefixes = prefixes
        self._static = static
        self._on_error = on_error
        self._max_rows = self._limit = rows
        self._queue = RequestQueue()
        self._groups: dict[int, SequenceGroup] = {}
        self._ended: dict[int, SequenceGroup] = {}
        """Those whose text may still be in a prefix cache."""
        self._entries: deque[Entry] = deque()
        self._rows = RowDecoding(decoder)
        self._solo: _Solo | None = None

    # --------------------------------------------------------------------------- requests

    @property
    def idle(self) -> bool:
        """Whether no request is left."""
        return self._queue.exhausted and not self._groups

    @property
    def ready(self) -> bool:
        """Whether `step` has anything to do: not if all requests are paused."""
        return bool(not self._queue.exhausted or self._entries or self._rows or self._solo)

    @property
    def has_room(self) -> bool:
        """Whether a request submitted now would begin before another one ends."""
        waiting = self._queue.submitted + sum(len(entry.sequences) for entry in self._entries)
        return self._occupied + waiting < min(self._limit, self._max_rows)

    def submit(self, request: GenerateRequest) -> int:
        """Add a request; returns the number under which `step` yields its events.

        One with more samples than there are rows gets as many as it wants, if it is alone.
        """
        if self.idle:
            self._limit = max(self._max_rows, request.samples)
        return self._queue.submit(request)

    def cancel(self, number: int) -> None:
        """Drop a request; no event of it follows. Not while a step is under way."""
        self._queue.forget(number)
        group = self._groups.get(number)
        if group is not None:
            self._take_out(group)
            self._end(group)

    def pause(self, number: int) -> bool:
        """Take a request out of the batch until `resume`; its rows are free meanwhile."""
        group = self._groups.get(number)
        if group is not None and not group.paused:
            group.paused = True
            group.aside = self._take_out(group)
            group.release_prefix(self._prefixes)
        return True

    def resume(self, number: int) -> None:
        """Put a paused request back, behind those that wait."""
        group = self._groups.get(number)
        if group is not None and group.paused:
            group.paused = False
            group.acquire_prefix(self._prefixes, group.sequences[0].ids)
            self._entries += group.aside
            group.aside = []

    def set_sampling(self, number: int, sampling: SamplingParams) -> None:
        """Change the samplers of a request from its next token on. Thread-safe."""
        self._queue.set_sampling(number, sampling)
        group = self._groups.get(number)
        for sequence in group.sequences if group is not None else ():
            sequence.sampling = sampling

    def next_token(
        self, number: int, sampling: SamplingParams, limit: int = 20
    ) -> NextToken | None:
        """The distribution after all that was generated so far of a request's first sequence.

        None if the prompt was not prefilled yet, or the text is not in a cache any more. May be
        asked for between steps, and at any event of the only request.

        Raises:
            OutOfMemoryError: no room to compute it.
            UnusableLogitsError: every token is banned.
        """
        group = self._groups.get(number) or self._ended.get(number)
        if group is None or not group.prefilled or not group.owns_prefix:
            return None
        self._rows.save(group)
        solo = self._solo is not None and self._solo.group is group
        prefix = self._solo.decoding.prefix if self._solo is not None and solo else group.prefix
        assert prefix is not None
        sequence = group.sequences[0]
        try:
            logits = prefix.logits_after(sequence.ids)
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(out_of_memory(self._decoder.device)) from error
            raise
        piece = self._tokenizer.piece
        return next_token_distribution(logits[0], sampling, sequence.token_counts, piece, limit)

    def close(self) -> None:
        """Give up all requests; what was fed of a single sequence stays in its prefix cache."""
        if self._solo is not None:
            self._solo.decoding.close()
        for group in self._groups.values():
            group.release_prefix(self._prefixes)

    def run(self, requests: Iterable[GenerateRequest]) -> Generator[Numbered, None, None]:
        """The events of all requests, numbered in their order; one's own are in order."""
        self._queue.pull_from(requests)
        while not self.idle:
            yield from self.step()

    def step(self) -> Iterator[Numbered]:
        """Prefill a chunk of the prompts that wait, then draw a token for every sequence.

        Must be consumed to its end, unless all requests are given up.
        """
        yield from self._admit()
        if self._solo is not None:
            yield from self._step_solo(self._solo)
        elif self._rows:
            yield from self._step_rows()
        self._leave_rows()

    # -------------------------------------------------------------------------- admission

    @property
    def _occupied(self) -> int:
        return len(self._rows) + (len(self._solo.decoding.sequences) if self._solo else 0)

    def _admit(self) -> Iterator[Numbered]:
        """Feed what waits, by at most a chunk; what was fed whole gets rows."""
        budget = self._decoder.prefill_chunk
        if self._occupied and self._decoder.supports_speculation:
            budget = min(budget, _ADMISSION_CHUNK)
        while budget > 0 and self._occupied < self._limit:
            if not self._entries and not (yield from self._begin_next()):
                return
            if self._entries and self._entries[0].fed:
                yield from self._enter(self._entries[0])
            elif self._entries:
                budget -= yield from self._feed(self._entries[0], budget)

    def _begin_next(self) -> Generator[Numbered, None, bool]:
        """Begin the next request, which may fail at once; False: there is none."""
        popped = self._queue.pop()
        if popped is None:
            return False
        number, request = popped
        group = self._groups[number] = SequenceGroup(number, request)
        failed: Failed | None = None
        try:
            yield number, group.begin(self._decoder, self._tokenizer, self._prefixes)
            for sequence in group.sequences:
                sequence.sampling = self._queue.sampling(number)
            self._entries.append(Entry(group, group.sequences))
        except GpttermError as error:
            failed = Failed(kind=error.kind, message=str(error))
        except Exception as error:
            failed = self._failure(error)
        if failed is not None:
            yield from self._fail({group: failed})
        return True

    def _feed(self, entry: Entry, limit: int) -> Generator[Numbered, None, int]:
        """Feed the next chunk of an entry; returns its number of tokens."""
        group, ids = entry.group, entry.ids
        failed: Failed | None = None
        try:
            prefix = group.acquire_prefix(self._prefixes, ids)
            start = prefix.rewind(ids)
            end = prefix.feed_chunk(ids, limit)
        except Exception as error:
            failed = self._failure(error)
        # Only now has the exception let go of the tensors in its traceback.
        if failed is None:
            if not group.prefilled:
                group.prefilled = end == len(ids)
                yield (
                    group.number,
                    Prefilled(done=end - group.reused, total=len(ids) - group.reused),
                )
            return end - start
        if failed.kind == "out_of_memory":
            yield from self._shrink(1, failed)
        else:
            yield from self._fail({group: failed})
        return limit

    def _enter(self, entry: Entry) -> Iterator[Numbered]:
        """Give as many sequences of an entry that was fed a row as there are."""
        if self._solo is not None:
            self._requeue_solo(self._solo)
            return
        if self._becomes_solo(entry):
            return
        group, ids = entry.group, entry.ids
        entering = entry.sequences[: self._limit - len(self._rows)]
        rows: list[Row] = []
        failed: Failed | None = None
        try:
            rows = self._rows.add(group, entering)
        except Exception as error:
            failed = self._failure(error)
        if failed is not None:
            yield from self._shrink(len(entering), failed)
            return
        self._entries.popleft()
        if len(entering) < len(entry.sequences):
            self._entries.appendleft(Entry(group, entry.sequences[len(entering) :]))
        assert group.prefix is not None
        yield from self._advance(rows, group.prefix.logits_after(ids).expand(len(rows), -1))

    # --------------------------------------------------------------------------- decoding

    def _step_rows(self) -> Iterator[Numbered]:
        """Feed every row its latest id and draw the next."""
        logits: Tensor | None = None
        failed: Failed | None = None
        try:
            logits = self._rows.feed()
        except Exception as error:
            failed = self._failure(error)
        if failed is not None:
            yield from self._shrink(0, failed)
        elif logits is not None:
            yield from self._advance(list(self._rows), logits)

    def _advance(self, rows: list[Row], logits: Tensor) -> Iterator[Numbered]:
        """Draw for the last rows of the batch, which `rows` are, from (len(rows), vocabulary)."""
        failed: dict[SequenceGroup, Failed] = {}
        while True:
            going = [i for i, row in enumerate(rows) if row.group not in failed]
            some = logits if len(going) == len(rows) else logits[going]
            try:
                chosen = draw(some, [rows[i].sequence for i in going])
                break
            except UnusableLogitsError as error:
                group = rows[going[error.row]].group
                failed[group] = Failed(kind="internal", message=str(error))
        for i, token_id in zip(going, chosen, strict=True):
            row = rows[i]
            try:
                for event in row.sequence.advance(token_id, logits[i]):
                    yield row.group.number, event
            except Exception as error:
                failed[row.group] = self._failure(error)
        yield from self._fail(failed)
        self._remove_rows(lambda row: row.sequence.finish_reason is not None)
        for group in {row.group: None for row in rows}:
            if group.finished and group not in failed:
                self._end(group)

    def _step_solo(self, solo: _Solo) -> Iterator[Numbered]:
        failed: Failed | None = None
        try:
            for event in solo.decoding.step():
                yield solo.group.number, event
        except UnusableLogitsError as error:
            failed = Failed(kind="internal", message=str(error))
        except Exception as error:
            failed = self._failure(error)
        if failed is not None and failed.kind == "out_of_memory" and self._prefixes.free_unused():
            self._requeue_solo(solo)
            release_memory()
        elif failed is not None:
            yield from self._fail({solo.group: failed})
        elif solo.group.finished:
            self._take_out(solo.group)
            self._end(solo.group)

    def _becomes_solo(self, entry: Entry) -> bool:
        """Decode an entry outside the rows, if nothing else is there and it can be."""
        if self._rows or len(self._entries) > 1 or not self._queue.exhausted:
            return False
        decoding = solo_decoding(entry, self._decoder, self._static)
        if decoding is None or len(entry.sequences) > self._limit:
            return False
        self._solo = _Solo(entry.group, decoding)
        self._entries.popleft()
        return True

    def _leave_rows(self) -> None:
        """Have the last sequence go on outside the rows, where that is faster."""
        if len(self._rows) != 1 or self._entries or not self._queue.exhausted:
            return
        (row,) = self._rows
        group = row.group
        static = self._static is not None and self._static.supports(group.request)
        if len(group.sequences) == 1 and (static or self._decoder.supports_speculation):
            self._entries += self._take_out(group)

    # -------------------------------------------------------------------------- going out

    def _fail(self, failed: dict[SequenceGroup, Failed]) -> Iterator[Numbered]:
        """End these requests, with all of their sequences."""
        for group, failure in failed.items():
            self._take_out(group)
            self._end(group)
            yield group.number, failure

    def _end(self, group: SequenceGroup) -> None:
        """Forget a request, except for the text in its prefix cache."""
        del self._groups[group.number]
        self._queue.forget(group.number)
        group.release_prefix(self._prefixes)
        self._ended[group.number] = group
        for number, ended in list(self._ended.items()):
            if not ended.owns_prefix:
                del self._ended[number]
        if not self._groups:
            self._limit = self._max_rows
        elif self._limit < self._max_rows:
            self._limit += 1  # there may be more memory again

    def _take_out(self, group: SequenceGroup) -> list[Entry]:
        """Take all of a request's sequences out of the batch; the entries that put them back."""
        taken = [entry for entry in self._entries if entry.group is group]
        if taken:
            self._entries = deque(entry for entry in self._entries if entry.group is not group)
        if self._solo is not None and self._solo.group is group:
            taken += self._close_solo(self._solo)
        rows = [row for row in self._rows if row.group is group]
        if rows:
            self._remove_rows(lambda row: row.group is group)
        return taken + [Entry(group, [row.sequence]) for row in rows]

    def _close_solo(self, solo: _Solo) -> list[Entry]:
        self._solo = None
        solo.decoding.close()
        going = [s for s in solo.decoding.sequences if s.finish_reason is None]
        return [Entry(solo.group, [sequence]) for sequence in going]

    def _requeue_solo(self, solo: _Solo) -> None:
        self._entries.extendleft(reversed(self._close_solo(solo)))

    def _remove_rows(self, gone: Callable[[Row], bool]) -> None:
        """Remove rows; of a request's first sequence, what was fed goes to the prefix cache."""
        for row in self._rows:
            group = row.group
            # Others of the group that wait need the prompt alone.
            waits = any(entry.group is group for entry in self._entries)
            if gone(row) and row.sequence is group.sequences[0] and group.owns_prefix and not waits:
                self._rows.save(group)
        self._rows.remove(gone)

    def _shrink(self, entering: int, failed: Failed) -> Iterator[Numbered]:
        """Go on with fewer rows, all filled anew, after a pass over several has failed.

        Args:
            entering: rows that were to be added, for the first entry.
            failed: the end of a request for which a single row fails.
        """
        count = self._occupied + entering
        entries = self._rows.discard()
        if self._solo is not None:
            entries += self._close_solo(self._solo)
        self._entries.extendleft(reversed(entries))
        freed = failed.kind == "out_of_memory" and self._prefixes.free_unused()
        release_memory()
        if freed:
            return
        if count > 1:
            self._limit = count // 2
        else:
            self._limit = self._max_rows  # it was not the others' fault
            yield from self._fail({self._entries[0].group: failed})

    def _failure(self, error: Exception) -> Failed:
        """The end of the request that an exception belongs to."""
        if is_out_of_memory(error):
            return Failed(kind="out_of_memory", message=out_of_memory(self._decoder.device))
        if self._on_error is None:
            raise error
        return self._on_error(error)


def out_of_memory(device: str) -> str:
    """Failure of a request for which there is no memory."""
    return (
        f"out of memory on {device}; a shorter prompt, fewer --samples, a smaller model or another"
        " --dtype may fit"
    )
