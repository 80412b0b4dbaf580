"""Work that is done before anybody waits for it: lists are fetched anew while answers are judged by the old ones."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

Task = Callable[[], float]
"""Does what is due; seconds until it wants to be called again."""

FAILED_SECONDS = 60.0


class Background:
    """Runs tasks in one thread until it is stopped; use it in a `with`, or call `start` and `stop`.

    on_error: told of an exception that a task raised; the task is called again a minute later.
    """

    def __init__(self, tasks: Sequence[Task], *, on_error: Callable[[Exception], None] = lambda _error: None) -> None:
        self._tasks = tuple(tasks)
        self._on_error = on_error
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stadtnachweis-background", daemon=True)

    def start(self) -> None:
        """Begin; every task is called at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the task that runs."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> "Background":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopped.is_set():
            waits = [self._called(task) for task in self._tasks]
            self._stopped.wait(min(waits, default=FAILED_SECONDS))

    def _called(self, task: Task) -> float:
        try:
            return task()
        except Exception as error:  # noqa: BLE001  # the outermost handler of this thread
            self._on_error(error)
            return FAILED_SECONDS
