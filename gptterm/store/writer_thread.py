"""The thread that writes. Front ends never wait for a disk, unless they ask to.

What cannot be written stays in memory and is tried again.
"""

import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gptterm.store.database import Database, Notify
from gptterm.store.errors import BusyError, HistoryError, ReplacedError
from gptterm.store.maintenance import is_due, tidy
from gptterm.store.pending_changes import Batch, Journal
from gptterm.store.upsert import Outcome, save
from gptterm.terminal import one_line

GROW_S = 0.15
"""A reply that grows is written so long after its first piece that was not."""
RETRY_S = 2.0
PATIENCE_S = 30.0
"""So long others may keep the history locked before the user hears of it."""
MEANWHILE = "what is new is in memory until it can be kept"
_REPLACED_AT_MOST = 5

Job = Callable[[sqlite3.Connection], Any]


class Writer:
    """Writes journals, drafts and changes to the history, each as soon as it can.

    Args:
        database: used by the writer's thread alone.
        notify: is told, in that thread, when writing fails and when it works again.
    """

    def __init__(self, database: Database, notify: Notify) -> None:
        self._database = database
        self._notify = notify
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._all: weakref.WeakSet[Journal] = weakref.WeakSet()
        self._pending: dict[Journal, None] = {}
        self._drafts: dict[str, str] = {}
        self._jobs: deque[tuple[Job, Future[Any]]] = deque()
        self._unopened = False
        """The history could not be opened."""
        self._due: float | None = None
        """When the next round begins."""
        self._asked = 0
        self._done = 0
        """How many of the things asked for were written, or given up."""
        self._trouble: HistoryError | None = None
        self._troubled_since = 0.0
        self._told = False

    @property
    def trouble(self) -> str:
        """Why nothing can be written at present; empty when all is well."""
        trouble = self._trouble
        return "" if trouble is None else str(trouble)

    @property
    def notice(self) -> str:
        """What the user is told of that, as long as it is so; empty when they need not know."""
        return f"{MEANWHILE}: {one_line(self.trouble)}" if self._told and self.trouble else ""

    # --------------------------------------------------------------------- from any thread

    def add(self, journal: Journal, *, urgent: bool) -> None:
        """Have a journal written, at once or together with what comes soon after."""
        with self._condition:
            self._all.add(journal)
            self._pending[journal] = None
            self._ask(0.0 if urgent else GROW_S)

    def add_draft(self, conversation: str, text: str) -> None:
        """Have a draft written soon."""
        with self._condition:
            self._drafts[conversation] = text
            self._ask(GROW_S)

    def await_opening(self, error: HistoryError) -> None:
        """The history could not be opened: try again, also while there is nothing to write."""
        with self._condition:
            self._unopened = True
            self._start()
        self._report(error, 0, at_once=True)

    def run(self, job: Job, *, timeout: float = 10.0) -> Any:
        """Run a job in a transaction of its own, after all that was asked for before.

        Raises:
            HistoryError: it could not be done.
        """
        future: Future[Any] = Future()
        with self._condition:
            if self._closing:
                raise HistoryError("the history is closed")
            self._jobs.append((job, future))
            self._ask(0.0)
            self._due = 0.0  # also in trouble: the user wants to know
            self._condition.notify_all()
        try:
            return future.result(timeout)
        except TimeoutError:
            raise BusyError("the history is in use by another program: try again") from None

    def flush(self, timeout: float) -> bool:
        """Wait until all that was asked for is written. False: it is not, or cannot be."""
        with self._condition:
            asked = self._asked
            if self._done >= asked:
                return True
            if self._trouble is not None:
                return False
            self._due = 0.0
            self._condition.notify_all()
            self._condition.wait_for(
                lambda: self._done >= asked or self._trouble is not None, timeout
            )
            return self._done >= asked

    def close(self, timeout: float) -> bool:
        """Write what is left, as far as it can be, and end the thread. False: not all is."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        return self._done >= self._asked

    def _ask(self, delay: float) -> None:
        """Note that there is one thing more to do; the condition is held."""
        self._asked += 1
        if self._trouble is None:
            due = time.monotonic() + delay
            if self._due is None or due < self._due:
                self._due = due
                self._condition.notify_all()
        self._start()

    def _start(self) -> None:
        if self._thread is None:
            # A daemon: whatever holds it up must not hold up the end of the program.
            self._thread = threading.Thread(target=self._work, name="history", daemon=True)
            self._thread.start()

    # ------------------------------------------------------------------ in the writer's thread

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._closing and not self._is_due():
                    self._condition.wait(None if self._due is None else self._rest())
                last = self._closing
                self._due = None
                asked = self._asked
                journals, self._pending = list(self._pending), {}
                drafts, self._drafts = self._drafts, {}
                jobs, self._jobs = list(self._jobs), deque()
            error = self._open()
            if error is None:
                error = self._save(journals, drafts)
            else:
                self._put_back(journals, drafts)
            for job, future in jobs:
                self._do(job, future, error)
            self._report(error, asked)
            if last:
                self._database.close()
                return

    def _is_due(self) -> bool:
        return self._due is not None and self._rest() <= 0

    def _rest(self) -> float:
        return (self._due or 0.0) - time.monotonic()

    def _open(self) -> HistoryError | None:
        """See whether a history that could not be opened can be now; return what is wrong."""
        if not self._unopened:
            return None
        try:
            try:
                if self._database.read(is_due, False):
                    self._retried(tidy)
            except HistoryError:
                # On a disk that cannot be written it can still be read.
                self._database.check()
        except HistoryError as error:
            return error
        self._unopened = False
        return None

    def _save(self, journals: list[Journal], drafts: dict[str, str]) -> HistoryError | None:
        """Write these; return what was wrong. What could not be written is pending again."""
        error = HistoryError("the history is replaced again and again")
        for _ in range(_REPLACED_AT_MOST):
            batches = [(each, batch) for each in journals if (batch := each.take()) is not None]
            if not batches and not drafts:
                return None
            try:
                journals, drafts = self._write(batches, drafts), {}
            except ReplacedError:
                _give_back(batches)
                journals = self._everything()
            except HistoryError as found:
                _give_back(batches)
                error = found
                break
            except Exception as found:
                # Whatever it is, this thread goes on: other chats are to be kept too.
                _give_back(batches)
                error = HistoryError(f"the history: {type(found).__name__}: {found}")
                break
            for journal in journals:
                journal.start_over()
        self._put_back(journals, drafts)
        return error

    def _put_back(self, journals: list[Journal], drafts: dict[str, str]) -> None:
        with self._condition:
            self._pending = dict.fromkeys([*journals, *self._pending])
            self._drafts = drafts | self._drafts

    def _write(self, batches: list[tuple[Journal, Batch]], drafts: dict[str, str]) -> list[Journal]:
        """Write in one transaction; return the journals that the history knows nothing of."""

        def work(connection: sqlite3.Connection) -> list[Outcome | None]:
            _write_drafts(connection, drafts)
            return [save(connection, journal, batch) for journal, batch in batches]

        durable = bool(drafts) or any(batch.nodes for _, batch in batches)
        outcomes = self._database.write(work, durable=durable)
        lost = []
        for (journal, _), outcome in zip(batches, outcomes, strict=True):
            if outcome is None:
                lost.append(journal)
            else:
                journal.names = outcome.names
                journal.saved.update(outcome.saved)
        return lost

    def _everything(self) -> list[Journal]:
        with self._condition:
            return list(self._all)

    def _do(self, job: Job, future: "Future[Any]", error: HistoryError | None) -> None:
        try:
            if error is not None:
                raise error
            future.set_result(self._retried(job))
        except Exception as found:
            future.set_exception(found)

    def _retried(self, job: Job) -> Any:
        for _ in range(_REPLACED_AT_MOST):
            try:
                return self._database.write(job)
            except ReplacedError:
                journals = self._everything()
                for journal in journals:
                    journal.start_over()
                self._save(journals, {})
        raise HistoryError("the history is replaced again and again")

    def _report(self, error: HistoryError | None, asked: int, *, at_once: bool = False) -> None:
        """Note how a round went, and tell the user of what has changed by it.

        Args:
            asked: how many things were asked for when it began.
            at_once: tell of others who keep the history locked, too.
        """
        now = time.monotonic()
        with self._condition:
            well, was = error is None, self._trouble
            if error is None:
                self._done = asked
            else:
                self._due = now + RETRY_S
                if was is None:
                    self._troubled_since = now
            self._trouble = error
            self._condition.notify_all()
        if well and self._told:
            self._told = False
            self._notify("the history is written again: nothing is lost")
        patience = PATIENCE_S if isinstance(error, BusyError) and not at_once else 0.0
        if error is not None and not self._told and now - self._troubled_since >= patience:
            self._told = True
            self._notify(f"{MEANWHILE}: {one_line(str(error))}")


def _give_back(batches: list[tuple[Journal, Batch]]) -> None:
    for journal, batch in batches:
        journal.give_back(batch)


def _write_drafts(connection: sqlite3.Connection, drafts: dict[str, str]) -> None:
    for conversation, text in drafts.items():
        if text:
            connection.execute(
                "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)",
                (conversation, text, time.time()),
            )
        else:
            connection.execute("DELETE FROM drafts WHERE conversation = ?", (conversation,))
