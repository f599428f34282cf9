"""The thread that writes to the history, so that front ends wait for a disk only if they ask to.

What cannot be written stays in memory and is tried again.
"""

import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gptterm.store.database import Database, Notify
from gptterm.store.errors import BusyError, HistoryError, ReplacedError
from gptterm.store.maintenance import is_due, run_maintenance
from gptterm.store.pending_changes import ChangeSet, PendingChanges
from gptterm.store.summaries import BEAT_S
from gptterm.store.upsert import UpsertResult, touch, upsert
from gptterm.terminal import one_line

if TYPE_CHECKING:
    from concurrent.futures import Future

BATCH_S = 0.15
"""Delay from the first delta of a streaming reply to its transaction: later ones join it."""
RETRY_S = 2.0
BUSY_NOTICE_S = 30.0
"""Time that others may keep the history locked before the user is told."""
IN_MEMORY = "new messages are in memory until they can be saved"
_MAX_REPLACED = 5
"""Attempts at one write if the file is replaced again and again."""

Job = Callable[[sqlite3.Connection], Any]


class WriterThread:
    """Writes pending changes, drafts and other jobs to the history, each as soon as possible.

    Args:
        database: used by this thread alone.
        notify: called in this thread when writing fails and when it works again.
    """

    def __init__(self, database: Database, notify: Notify) -> None:
        self._database = database
        self._notify = notify
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._all: weakref.WeakSet[PendingChanges] = weakref.WeakSet()
        self._pending: dict[PendingChanges, None] = {}
        self._drafts: dict[str, str] = {}
        self._jobs: deque[tuple[Job, Future[Any]]] = deque()
        self._unopened = False
        """The history could not be opened."""
        self._due: float | None = None
        """Time of the next round."""
        self._beat_due = 0.0
        """Time when it is to be shown that replies are still being written."""
        self._requested = 0
        self._completed = 0
        """Requests that were written or given up."""
        self._error: HistoryError | None = None
        self._failing_since = 0.0
        self._notified = False

    @property
    def write_error(self) -> str:
        """The reason why nothing can be written at present; empty when all is well."""
        error = self._error
        return "" if error is None else str(error)

    @property
    def notice(self) -> str:
        """The notice that the user was given of it and that still holds; empty for none."""
        error = self.write_error
        return f"{IN_MEMORY}: {one_line(error)}" if self._notified and error else ""

    # -------------------------------------------------------------- called from any thread

    def add(self, pending: PendingChanges, *, urgent: bool) -> None:
        """Have pending changes written, at once or together with what follows within BATCH_S."""
        with self._condition:
            self._all.add(pending)
            self._pending[pending] = None
            self._request(0.0 if urgent else BATCH_S)

    def add_draft(self, conversation: str, text: str) -> None:
        """Have a draft written soon."""
        with self._condition:
            self._drafts[conversation] = text
            self._request(BATCH_S)

    def retry_opening(self, error: HistoryError) -> None:
        """Try again to open the history, even while there is nothing to write."""
        with self._condition:
            self._unopened = True
            self._start()
        self._report(error, 0, at_once=True)

    def run(self, job: Job, *, timeout: float = 10.0) -> Any:
        """Run a job in a transaction of its own, after everything requested before it.

        Raises:
            HistoryError: it could not be done.
        """
        return self.result(self.submit(job), timeout)

    def submit(self, job: Job) -> "Future[Any]":
        """Submit a job to be run in the same way, without waiting for it.

        Raises:
            HistoryError: the history is closed.
        """
        from concurrent.futures import Future  # 3 ms, which a prompt does not need

        future: Future[Any] = Future()
        with self._condition:
            if self._closing:
                raise HistoryError("the history is closed")
            self._jobs.append((job, future))
            self._request(0.0)
            self._due = 0.0  # even while writing fails: the user wants to know
            self._condition.notify_all()
        return future

    def result(self, job: "Future[Any]", timeout: float) -> Any:
        """Wait for a submitted job and return its result.

        Raises:
            HistoryError: it could not be done.
        """
        try:
            return job.result(timeout)
        except TimeoutError:
            raise BusyError("the history is in use by another program: try again") from None

    def flush(self, timeout: float) -> bool:
        """Wait until everything requested so far is written. False: it is not, or cannot be."""
        with self._condition:
            requested = self._requested
            if self._completed >= requested:
                return True
            if self._error is not None:
                return False
            self._due = 0.0
            self._condition.notify_all()
            self._condition.wait_for(
                lambda: self._completed >= requested or self._error is not None, timeout
            )
            return self._completed >= requested

    def close(self, timeout: float) -> bool:
        """Write the rest, if possible, and end the thread. False: not everything is written."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        return self._completed >= self._requested

    def _request(self, delay: float) -> None:
        """Count one more request; the condition is held."""
        self._requested += 1
        if self._error is None:
            due = time.monotonic() + delay
            if self._due is None or due < self._due:
                self._due = due
                self._condition.notify_all()
        self._start()

    def _start(self) -> None:
        if self._thread is None:
            # A daemon, so that a disk that hangs does not keep the program from ending.
            self._thread = threading.Thread(target=self._work, name="history", daemon=True)
            self._thread.start()

    # ------------------------------------------------------------------------ in the thread

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._closing and not self._is_due():
                    self._condition.wait(None if self._due is None else self._remaining())
                streaming = [name for each in self._all if (name := each.streaming)]
                last = self._closing
                self._due = None
                requested = self._requested
                pending, self._pending = list(self._pending), {}
                drafts, self._drafts = self._drafts, {}
                jobs, self._jobs = list(self._jobs), deque()
            error = self._open()
            if error is None:
                error = self._save(pending, drafts)
            else:
                self._requeue(pending, drafts)
            for job, future in jobs:
                self._run_job(job, future, error)
            if error is None and streaming:
                error = self._beat(streaming, is_written=bool(pending))
            self._report(error, requested)
            if last:
                self._database.close()
                return

    def _beat(self, conversations: list[str], *, is_written: bool) -> HistoryError | None:
        """Show other programs that replies are being written, and come back to do it again.

        Args:
            is_written: what has just been written shows it.
        """
        now = time.monotonic()
        if not is_written and now >= self._beat_due:
            try:
                self._write_retrying(lambda c: touch(c, conversations))
            except HistoryError as error:
                return error
        if is_written or now >= self._beat_due:
            self._beat_due = now + BEAT_S
        with self._condition:
            if self._due is None or self._due > self._beat_due:
                self._due = self._beat_due
        return None

    def _is_due(self) -> bool:
        return self._due is not None and self._remaining() <= 0

    def _remaining(self) -> float:
        return (self._due or 0.0) - time.monotonic()

    def _open(self) -> HistoryError | None:
        """Retry a history that could not be opened; return the error if it still cannot be."""
        if not self._unopened:
            return None
        try:
            try:
                if self._database.read(is_due, False):
                    self._write_retrying(run_maintenance)
            except HistoryError:
                # On a read-only disk it can still be read.
                self._database.check()
        except HistoryError as error:
            return error
        self._unopened = False
        return None

    def _save(self, pending: list[PendingChanges], drafts: dict[str, str]) -> HistoryError | None:
        """Write these and return the error, if any. What was not written is pending again."""
        error = HistoryError("the history is replaced again and again")
        for _ in range(_MAX_REPLACED):
            batch = [(each, changes) for each in pending if (changes := each.pop()) is not None]
            if not batch and not drafts:
                return None
            try:
                pending, drafts = self._write(batch, drafts), {}
            except ReplacedError:
                _push_back(batch)
                pending = self._all_pending()
            except HistoryError as found:
                _push_back(batch)
                error = found
                break
            except Exception as found:
                # An unforeseen error must not end the thread: other chats are to be saved too.
                _push_back(batch)
                error = HistoryError(f"the history: {type(found).__name__}: {found}")
                break
            for each in pending:
                each.mark_unsaved()
        self._requeue(pending, drafts)
        return error

    def _requeue(self, pending: list[PendingChanges], drafts: dict[str, str]) -> None:
        with self._condition:
            self._pending = dict.fromkeys([*pending, *self._pending])
            self._drafts = drafts | self._drafts

    def _write(
        self, batch: list[tuple[PendingChanges, ChangeSet]], drafts: dict[str, str]
    ) -> list[PendingChanges]:
        """Write in one transaction; return those whose conversation the history has lost."""

        def work(connection: sqlite3.Connection) -> list[UpsertResult | None]:
            _write_drafts(connection, drafts)
            return [upsert(connection, pending, changes) for pending, changes in batch]

        durable = bool(drafts) or any(changes.nodes for _, changes in batch)
        results = self._database.write(work, durable=durable)
        lost = []
        for (pending, _), result in zip(batch, results, strict=True):
            if result is None:
                lost.append(pending)
            else:
                pending.saved_ids = result.saved_ids
                pending.saved_nodes.update(result.saved_nodes)
        return lost

    def _all_pending(self) -> list[PendingChanges]:
        with self._condition:
            return list(self._all)

    def _run_job(self, job: Job, future: "Future[Any]", error: HistoryError | None) -> None:
        try:
            if error is not None:
                raise error
            future.set_result(self._write_retrying(job))
        except Exception as found:
            future.set_exception(found)

    def _write_retrying(self, job: Job) -> Any:
        """Run a job in a transaction; after the file was replaced, fill the new one and retry."""
        for _ in range(_MAX_REPLACED):
            try:
                return self._database.write(job)
            except ReplacedError:
                pending = self._all_pending()
                for each in pending:
                    each.mark_unsaved()
                self._save(pending, {})
        raise HistoryError("the history is replaced again and again")

    def _report(self, error: HistoryError | None, requested: int, *, at_once: bool = False) -> None:
        """Record how a round ended, and tell the user if that is news.

        Args:
            requested: number of requests at the beginning of the round.
            at_once: report a locked history at once, too.
        """
        now = time.monotonic()
        with self._condition:
            well, before = error is None, self._error
            if error is None:
                self._completed = requested
            else:
                self._due = now + RETRY_S
                if before is None:
                    self._failing_since = now
            self._error = error
            self._condition.notify_all()
        if well and self._notified:
            self._notified = False
            self._notify("the history can be written again: nothing is lost")
        patience = BUSY_NOTICE_S if isinstance(error, BusyError) and not at_once else 0.0
        if error is not None and not self._notified and now - self._failing_since >= patience:
            self._notified = True
            self._notify(f"{IN_MEMORY}: {one_line(str(error))}")


def _push_back(batch: list[tuple[PendingChanges, ChangeSet]]) -> None:
    for pending, changes in batch:
        pending.push_back(changes)


def _write_drafts(connection: sqlite3.Connection, drafts: dict[str, str]) -> None:
    for conversation, text in drafts.items():
        if text:
            connection.execute(
                "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)",
                (conversation, text, time.time()),
            )
        else:
            connection.execute("DELETE FROM drafts WHERE conversation = ?", (conversation,))
