"""Continuous batching: sequences join and leave the batch between decoding steps.

Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", OSDI 2022.
A step decodes one token of every sequence. Prompts are prefilled in chunks between the steps
(Agrawal et al., "SARATHI", 2023), so that admitting one delays the others by one chunk at most.

A row's logits depend on its own past only, so its text is the same alone and in any batch, except
where rounding that varies with the shape of a matrix product decides between two tokens.

A single sequence is decoded outside the rows, where `SoloDecoding` and `StaticDecoding` are faster.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from gptterm.engine.api import (
    Event,
    Failed,
    GenerateRequest,
    NextToken,
    Prefilled,
    SamplingParams,
)
from gptterm.engine.decoders.base import Decoder, Logits
from gptterm.engine.generation.batch_sequences import BatchSequences, Solo
from gptterm.engine.generation.prefix_cache import PrefixPool
from gptterm.engine.generation.request_queue import RequestQueue
from gptterm.engine.generation.sequence import draw
from gptterm.engine.generation.sequence_group import PendingSequences, Row, SequenceGroup
from gptterm.engine.generation.solo_decoding import solo_decoding
from gptterm.engine.runtime.device import is_out_of_memory, release_memory
from gptterm.engine.sampling.chain import UnusableLogitsError
from gptterm.engine.sampling.distribution import next_token_distribution
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.word_bias import for_next_token
from gptterm.errors import GpttermError, OutOfMemoryError, pass_exits

if TYPE_CHECKING:  # imports torch
    from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding

Numbered = tuple[int, Event]
"""An event, and the number of the request it belongs to."""
OnError = Callable[[BaseException], Failed]

_ADMISSION_CHUNK = 64
"""Prompt tokens prefilled between two steps of other sequences, by decoders whose results do not
depend on the chunk size. 64 take as long per token as 256 (GPT-2 124M, int8, two cores)."""


class Batch:
    """Decodes up to `rows` sequences together; implements `LiveBatch`.

    Out of memory, it goes on with fewer rows. A failure ends one request and harms no other.

    Args:
        prefixes: prefix caches that prompts are prefilled in.
        static: decodes a single request on a GPU.
        on_error: converts an unexpected exception to the failure of the request it belongs to;
            None raises it from `step`.
        steady: somebody reads along, so that a prompt must not hold up the others' tokens; else
            prompts are prefilled as soon as rows are free, which keeps all rows busy.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        prefixes: PrefixPool,
        rows: int,
        static: "StaticDecoding | None" = None,
        on_error: OnError | None = None,
        *,
        steady: bool = True,
    ) -> None:
        self._decoder = decoder
        self._steady = steady
        self._tokenizer = tokenizer
        self._prefixes = prefixes
        self._static = static
        self._on_error = on_error
        self._max_rows = self._limit = rows
        self._queue = RequestQueue()
        self._groups: dict[int, SequenceGroup] = {}
        self._ended: dict[int, SequenceGroup] = {}
        """Groups whose text may still be in a prefix cache."""
        self._sequences = BatchSequences(decoder)

    # --------------------------------------------------------------------------- requests

    @property
    def idle(self) -> bool:
        """Whether all requests have ended."""
        return self._queue.exhausted and not self._groups

    @property
    def ready(self) -> bool:
        """Whether `step` has anything to do: not if all requests are paused."""
        return not (self._queue.exhausted and self._sequences.empty)

    @property
    def has_room(self) -> bool:
        """Whether a request submitted now would begin before another one ends."""
        count = self._queue.submitted + len(self._sequences)
        return count < min(self._limit, self._max_rows)

    def submit(self, request: GenerateRequest) -> int:
        """Add a request; return the number under which `step` yields its events.

        A request with more samples than rows gets a row for each if it is the only one.
        """
        if self.idle:
            self._limit = max(self._max_rows, request.samples)
        return self._queue.submit(request)

    def cancel(self, number: int) -> None:
        """Remove a request, without further events. Not to be called during a step."""
        self._queue.forget(number)
        group = self._groups.get(number)
        if group is not None:
            self._sequences.remove(group)
            self._end(group)

    def pause(self, number: int) -> bool:
        """Remove a request from the batch until `resume`; its rows are free meanwhile."""
        group = self._groups.get(number)
        if group is not None and not group.paused:
            group.paused = True
            group.suspended = self._sequences.remove(group)
            group.release_prefix(self._prefixes)
        return True

    def resume(self, number: int) -> None:
        """Queue a paused request again."""
        group = self._groups.get(number)
        if group is not None and group.paused:
            group.paused = False
            group.acquire_prefix(self._prefixes, group.sequences[0].ids)
            self._sequences.pending += group.suspended
            group.suspended = []

    def set_sampling(self, number: int, sampling: SamplingParams) -> None:
        """Change the samplers of a request from its next token on. Thread-safe."""
        self._queue.set_sampling(number, sampling)
        group = self._groups.get(number)
        for sequence in group.sequences if group is not None else ():
            sequence.sampling = sampling

    def next_token(
        self, number: int, sampling: SamplingParams, limit: int = 20
    ) -> NextToken | None:
        """The distribution after the text so far of a request's first sequence.

        To be called between steps, or at any event of the only request.

        Returns:
            None before the prompt is prefilled, and once the text has left the prefix caches.

        Raises:
            OutOfMemoryError: no room to compute it.
            UnusableLogitsError: every token is banned.
        """
        group = self._groups.get(number) or self._ended.get(number)
        if group is None or not group.prefilled or not group.owns_prefix:
            return None
        prefix = self._sequences.prefix_with_text(group)
        sequence = group.sequences[0]
        try:
            logits = prefix.logits_after(sequence.ids)
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(out_of_memory(self._decoder.device)) from error
            raise
        counts, tokenizer = sequence.token_counts, self._tokenizer
        sampling = for_next_token(sampling, sequence.ids, tokenizer)
        return next_token_distribution(
            logits[0], sampling, counts, tokenizer.piece, limit, special=tokenizer.special_ids
        )

    def close(self) -> None:
        """Drop all requests; the text of a single sequence stays in its prefix cache."""
        self._sequences.requeue()
        for group in self._groups.values():
            group.release_prefix(self._prefixes)

    def run(self, requests: Iterable[GenerateRequest]) -> Generator[Numbered, None, None]:
        """Yield the events of all requests, which are numbered from 0.

        A request is taken from `requests` when there is room for it.
        """
        self._queue.pull_from(requests)
        while not self.idle:
            yield from self.step()

    def step(self) -> Iterator[Numbered]:
        """Prefill a chunk of the pending prompts, then decode one token of every sequence.

        To be exhausted, unless all requests are dropped.
        """
        yield from self._admit()
        if self._sequences.solo is not None:
            yield from self._step_solo(self._sequences.solo)
        elif self._sequences.rows:
            yield from self._step_rows()
        self._return_to_solo()

    # -------------------------------------------------------------------------- admission

    def _admit(self) -> Iterator[Numbered]:
        """Prefill one chunk of pending sequences, and add those that are complete."""
        budget = self._decoder.prefill_chunk
        if self._steady and self._sequences.decoding and self._decoder.supports_speculation:
            budget = min(budget, _ADMISSION_CHUNK)
        while budget > 0 and self._sequences.decoding < self._limit:
            if not self._sequences.pending and not (yield from self._begin_next()):
                return
            if self._sequences.pending and self._sequences.pending[0].fed:
                yield from self._add_rows(self._sequences.pending[0])
            elif self._sequences.pending:
                budget -= yield from self._feed(self._sequences.pending[0], budget)

    def _begin_next(self) -> Generator[Numbered, None, bool]:
        """Begin the next request, which may fail at once. Returns False if there is none."""
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
            self._sequences.pending.append(PendingSequences(group, group.sequences))
        except GpttermError as error:
            failed = Failed(kind=error.kind, message=str(error))
        except BaseException as error:
            failed = self._failure(error)
        if failed is not None:
            yield from self._fail({group: failed})
        return True

    def _feed(self, pending: PendingSequences, limit: int) -> Generator[Numbered, None, int]:
        """Prefill the next chunk of pending sequences. Returns its number of tokens."""
        group, ids = pending.group, pending.ids
        failed: Failed | None = None
        try:
            prefix = group.acquire_prefix(self._prefixes, ids)
            start = prefix.rewind(ids)
            end = prefix.feed_chunk(ids, limit)
        except BaseException as error:
            failed = self._failure(error)
        # The tensors in the exception's traceback are released only now.
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

    def _add_rows(self, pending: PendingSequences) -> Iterator[Numbered]:
        """Give prefilled sequences rows, as many as are free, and draw their next tokens."""
        if self._sequences.solo is not None:
            self._sequences.requeue_solo(self._sequences.solo)
            return
        if self._start_solo(pending):
            return
        group, ids = pending.group, pending.ids
        added = pending.sequences[: self._limit - len(self._sequences.rows)]
        rows: list[Row] = []
        failed: Failed | None = None
        try:
            rows = self._sequences.rows.add(group, added)
        except BaseException as error:
            failed = self._failure(error)
        if failed is not None:
            yield from self._shrink(len(added), failed)
            return
        self._sequences.pending.popleft()
        if len(added) < len(pending.sequences):
            self._sequences.pending.appendleft(
                PendingSequences(group, pending.sequences[len(added) :])
            )
        assert group.prefix is not None
        logits = group.prefix.logits_after(ids)
        yield from self._advance(rows, np.broadcast_to(logits, (len(rows), logits.shape[1])))

    # --------------------------------------------------------------------------- decoding

    def _step_rows(self) -> Iterator[Numbered]:
        """Decode one token of every row."""
        logits: Logits | None = None
        failed: Failed | None = None
        try:
            logits = self._sequences.rows.feed()
        except BaseException as error:
            failed = self._failure(error)
        if failed is not None:
            yield from self._shrink(0, failed)
        elif logits is not None:
            yield from self._advance(list(self._sequences.rows), logits)

    def _advance(self, rows: list[Row], logits: Logits) -> Iterator[Numbered]:
        """Draw the next token of the last rows of the batch.

        Args:
            rows: these rows.
            logits: (len(rows), vocabulary), raw.
        """
        failed: dict[SequenceGroup, Failed] = {}
        while True:
            going = [i for i, row in enumerate(rows) if row.group not in failed]
            some = logits if len(going) == len(rows) else logits[going]
            try:
                chosen = draw(some, [rows[i].sequence for i in going])
                break
            except UnusableLogitsError as error:
                group = rows[going[error.row]].group
                failed[group] = Failed(kind=error.kind, message=str(error))
        for i, token_id in zip(going, chosen, strict=True):
            row = rows[i]
            try:
                for event in row.sequence.advance(token_id, logits[i]):
                    yield row.group.number, event
            except BaseException as error:
                failed[row.group] = self._failure(error)
        yield from self._fail(failed)
        self._sequences.remove_rows(lambda row: row.sequence.finish_reason is not None)
        for group in {row.group: None for row in rows}:
            if group.finished and group not in failed:
                self._end(group)

    def _step_solo(self, solo: Solo) -> Iterator[Numbered]:
        if not solo.decoding.applies_samplers:
            self._sequences.requeue_solo(solo)
            return
        failed: Failed | None = None
        try:
            for event in solo.decoding.step():
                yield solo.group.number, event
        except UnusableLogitsError as error:
            failed = Failed(kind=error.kind, message=str(error))
        except BaseException as error:
            failed = self._failure(error)
        if failed is not None and failed.kind == "out_of_memory" and self._prefixes.free_unused():
            self._sequences.requeue_solo(solo)
            release_memory()
        elif failed is not None:
            yield from self._fail({solo.group: failed})
        elif solo.group.finished:
            self._sequences.remove(solo.group)
            self._end(solo.group)

    def _start_solo(self, pending: PendingSequences) -> bool:
        """Decode pending sequences outside the rows, if they are the only ones."""
        if self._sequences.rows or len(self._sequences.pending) > 1 or not self._queue.exhausted:
            return False
        decoding = solo_decoding(pending, self._decoder, self._static)
        if decoding is None or len(pending.sequences) > self._limit:
            return False
        self._sequences.solo = Solo(pending.group, decoding)
        self._sequences.pending.popleft()
        return True

    def _return_to_solo(self) -> None:
        """Move a sequence that has become the only one out of the rows, where that is faster."""
        if len(self._sequences.rows) != 1 or self._sequences.pending or not self._queue.exhausted:
            return
        (row,) = self._sequences.rows
        group = row.group
        static = self._static is not None and self._static.supports(
            group.request, row.sequence.sampling
        )
        if len(group.sequences) == 1 and (static or self._decoder.supports_speculation):
            self._sequences.pending += self._sequences.remove(group)

    # ---------------------------------------------------------------------------- removal

    def _fail(self, failed: dict[SequenceGroup, Failed]) -> Iterator[Numbered]:
        """End requests with a failure."""
        for group, failure in failed.items():
            self._sequences.remove(group)
            self._end(group)
            yield group.number, failure

    def _end(self, group: SequenceGroup) -> None:
        """Forget a request that has ended; its text stays in the prefix cache."""
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
            self._limit += 1  # memory may be free again

    def _shrink(self, added: int, failed: Failed) -> Iterator[Numbered]:
        """Queue all rows again, for fewer at a time, after a forward pass has failed.

        Args:
            added: rows that were being added, of the first pending sequences.
            failed: ends a request whose single row fails.
        """
        count = self._sequences.decoding + added
        self._sequences.requeue()
        freed = failed.kind == "out_of_memory" and self._prefixes.free_unused()
        release_memory()
        if freed:
            return
        if count > 1:
            self._limit = count // 2
        else:
            self._limit = self._max_rows  # the others were not the cause
            yield from self._fail({self._sequences.pending[0].group: failed})

    def _failure(self, error: BaseException) -> Failed:
        """Convert an exception to the failure of the request it belongs to."""
        pass_exits(error)
        if is_out_of_memory(error):
            return Failed(kind="out_of_memory", message=out_of_memory(self._decoder.device))
        if isinstance(error, GpttermError):
            return Failed(kind=error.kind, message=str(error))
        if self._on_error is None:
            raise error
        return self._on_error(error)


def out_of_memory(device: str) -> str:
    """Failure of a request for which there is no memory."""
    return (
        f"out of memory on {device}; a shorter prompt, fewer --samples, a smaller model or another"
        " --dtype may fit"
    )
