"""Queue of requests that have not begun, and the samplers of all requests of a batch."""

from collections.abc import Iterable, Iterator

from gptterm.engine.api import GenerateRequest, SamplingParams


class RequestQueue:
    """First-in, first-out queue, which numbers requests from 0."""

    def __init__(self) -> None:
        self._count = 0
        self._submitted: dict[int, GenerateRequest] = {}
        self._incoming: Iterator[GenerateRequest] | None = None
        self._sampling: dict[int, SamplingParams] = {}

    @property
    def submitted(self) -> int:
        """Number of sequences of the queued requests."""
        return sum(request.samples for request in self._submitted.values())

    @property
    def exhausted(self) -> bool:
        """Whether `pop` will return None."""
        return not self._submitted and self._incoming is None

    def submit(self, request: GenerateRequest) -> int:
        """Append a request and return its number."""
        number = self._register(request)
        self._submitted[number] = request
        return number

    def pull_from(self, requests: Iterable[GenerateRequest]) -> None:
        """Have `pop` take requests from here when none was submitted."""
        self._incoming = iter(requests)

    def pop(self) -> tuple[int, GenerateRequest] | None:
        """Remove and return the next request and its number; None if there is none."""
        for number in self._submitted:
            return number, self._submitted.pop(number)
        request = next(self._incoming, None) if self._incoming is not None else None
        if request is None:
            self._incoming = None
            return None
        return self._register(request), request

    def forget(self, number: int) -> None:
        """Remove a request and its samplers."""
        self._submitted.pop(number, None)
        self._sampling.pop(number, None)

    def sampling(self, number: int) -> SamplingParams:
        """The current samplers of a request."""
        return self._sampling[number]

    def set_sampling(self, number: int, sampling: SamplingParams) -> None:
        """Change the samplers of a request that has not ended. Thread-safe."""
        if number in self._sampling:
            self._sampling[number] = sampling

    def _register(self, request: GenerateRequest) -> int:
        number = self._count
        self._count += 1
        self._sampling[number] = request.sampling
        return number
