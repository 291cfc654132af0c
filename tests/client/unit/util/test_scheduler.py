"""The scheduler and its cancel tokens."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from gcapi._util import scheduler as module
from gcapi._util.scheduler import (
    Cancelled,
    CancelToken,
    Scheduler,
    cancel_scope,
    current_token,
    sleep,
)

#: Seconds after which a test that waits has failed.
DEADLINE = 10.0


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; a test whose condition never holds fails."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.001)


def threads_named(name: str) -> list[threading.Thread]:
    """Return the live threads whose name begins so."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


# ---------------------------------------------------------------- tokens


def test_cancelling_reaches_descendants_and_not_parents() -> None:
    """Cancelling a token cancels its descendants, present and future, and leaves its parent as it is."""
    parent = CancelToken()
    token = parent.child()
    grandchild = token.child().child()
    gc.collect()
    token.cancel()
    assert not parent.is_cancelled
    assert token.is_cancelled
    assert grandchild.is_cancelled
    assert token.child().is_cancelled


def test_cancelling_twice_calls_back_once() -> None:
    """The callback of a token is called once, however often it is cancelled."""
    called: list[None] = []
    token = CancelToken(on_cancel=lambda: called.append(None))
    token.cancel()
    token.cancel()
    assert called == [None]


def test_a_token_is_checked() -> None:
    """A token raises once it is cancelled, and not before."""
    token = CancelToken()
    token.raise_if_cancelled()
    token.cancel()
    with pytest.raises(Cancelled):
        token.raise_if_cancelled()


def test_sleep_wakes_up() -> None:
    """A sleep of any length ends when its token is cancelled."""
    token = CancelToken()
    token.sleep(0.001)
    timer = threading.Timer(0.01, token.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        token.sleep(float("inf"))
    timer.join()


def test_a_parent_forgets_children_that_are_gone() -> None:
    """A token that is no longer used takes no memory of its parent's."""
    parent = CancelToken()
    child = weakref.ref(parent.child())
    gc.collect()
    assert child() is None


def test_a_scope_ends_with_its_block() -> None:
    """A scope is a child of the current token inside its block, and is cancelled after it."""
    with cancel_scope() as outer:
        assert current_token() is outer
        with suppress(KeyError), cancel_scope() as inner:
            assert current_token() is inner
            raise KeyError
        assert inner.is_cancelled
        assert current_token() is outer
        assert not outer.is_cancelled
        with cancel_scope() as second:
            outer.cancel()
            assert second.is_cancelled
    assert not current_token().is_cancelled


def test_no_handler_of_failures_takes_a_cancellation() -> None:
    """A cancellation is not an `Exception`, so that no retry and no row takes it for a failure."""
    assert not issubclass(Cancelled, Exception)


# ---------------------------------------------------------------- tasks


def test_results_and_errors_of_tasks() -> None:
    """A task's result is that of its future."""
    with Scheduler(2, "gcapi-test") as scheduler:
        assert scheduler.submit(divmod, 7, 2).result(DEADLINE) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            scheduler.submit(divmod, 7, 0).result(DEADLINE)


def test_threads_are_bounded() -> None:
    """Never do more tasks run at once than the scheduler has threads."""
    lock = threading.Lock()
    running = most = 0

    def task(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1

    with Scheduler(3, "gcapi-test") as scheduler:
        scheduler.run_all(task, range(50))
    assert most == 3


def test_priorities() -> None:
    """Tasks run by priority, and within one in the order of submission."""
    order: list[str] = []
    gate = threading.Event()
    with Scheduler(1, "gcapi-test") as scheduler:
        scheduler.submit(gate.wait, DEADLINE)
        for name, priority in (("c", 2), ("a", 0), ("d", 2), ("b", 1)):
            scheduler.submit(order.append, name, priority=priority)
        gate.set()
        scheduler.wait()
    assert order == ["a", "b", "c", "d"]


def test_waiting_includes_tasks_of_tasks() -> None:
    """Waiting ends when all tasks have, including those that other tasks submitted."""
    seen: list[int] = []
    with Scheduler(2, "gcapi-test") as scheduler:

        def task(depth: int) -> None:
            seen.append(depth)
            if depth:
                scheduler.submit(task, depth - 1)
                scheduler.submit(task, depth - 1)

        scheduler.submit(task, 5)
        scheduler.wait()
    assert len(seen) == 2**6 - 1


def test_run_all_keeps_the_order() -> None:
    """Results of `run_all` are in the order of the items."""
    with Scheduler(3, "gcapi-test") as scheduler:
        assert scheduler.run_all(str, range(20)) == [str(number) for number in range(20)]
        assert scheduler.run_all(str, ()) == []


def test_first_error_cancels_the_rest() -> None:
    """The first error is raised, cancels running and queued tasks, and is not replaced by its consequences."""
    is_waiting, gate = threading.Event(), threading.Event()
    begun: list[str] = []

    def wait_long() -> None:
        is_waiting.set()
        sleep(DEADLINE)

    def fail() -> None:
        assert is_waiting.wait(DEADLINE)
        assert gate.wait(DEADLINE)
        raise KeyError("first")

    with Scheduler(2, "gcapi-test") as scheduler:
        waiting = scheduler.submit(wait_long)
        scheduler.submit(fail)
        queued = scheduler.submit(begun.append, "queued", priority=1)
        gate.set()
        with pytest.raises(KeyError, match="first"):
            scheduler.wait()
        assert isinstance(waiting.exception(DEADLINE), Cancelled)
        assert isinstance(queued.exception(DEADLINE), Cancelled)
        with pytest.raises(KeyError, match="first"):
            scheduler.submit(begun.append, "late")
    assert begun == []


def test_threads_work_under_the_scheduler_s_token() -> None:
    """Tasks see a child of the token that was current where the scheduler was made, also when nested."""

    def nested() -> CancelToken:
        with Scheduler(1, "gcapi-test") as inner:
            return inner.submit(current_token).result(DEADLINE)

    with cancel_scope() as scope, Scheduler(1, "gcapi-test") as scheduler:
        token = scheduler.submit(current_token).result(DEADLINE)
        assert token is scheduler.token
        assert scheduler.submit(nested).result(DEADLINE) is not token
        scope.cancel()
        assert token.is_cancelled


def test_cancelling_the_caller_s_token_ends_nested_schedulers() -> None:
    """When the call ends, the tasks of schedulers within tasks end too, and nobody waits for a queued one."""
    depth = threading.Semaphore(0)

    def nest(levels: int) -> None:
        depth.release()
        if not levels:
            sleep(DEADLINE)
        with Scheduler(1, "gcapi-test") as inner:
            inner.submit(nest, levels - 1)
            inner.submit(nest, levels - 1)
            inner.wait()

    with Scheduler(2, "gcapi-test") as scheduler:
        scheduler.submit(nest, 2)
        for _ in range(3):
            assert depth.acquire(timeout=DEADLINE)
    until(lambda: not threads_named("gcapi-test"))


def test_leaving_cancels() -> None:
    """Leaving the block cancels running and queued tasks, and waits for the threads."""
    begun: list[str] = []
    is_waiting = threading.Event()

    def wait_long() -> None:
        is_waiting.set()
        sleep(DEADLINE)

    with suppress(KeyboardInterrupt), Scheduler(1, "gcapi-test") as scheduler:
        running = scheduler.submit(wait_long)
        queued = scheduler.submit(begun.append, "queued")
        is_waiting.wait(DEADLINE)
        raise KeyboardInterrupt
    assert not threads_named("gcapi-test")
    assert isinstance(running.exception(0), Cancelled)
    assert isinstance(queued.exception(0), Cancelled)
    assert begun == []


def test_leaving_waits_only_for_the_grace_period() -> None:
    """A thread that cannot be interrupted does not keep the caller for longer than the grace period."""
    is_waiting, gate = threading.Event(), threading.Event()

    def wait_long() -> None:
        is_waiting.set()
        gate.wait(DEADLINE)

    before = time.monotonic()
    with Scheduler(1, "gcapi-test", grace=0.01) as scheduler:
        scheduler.submit(wait_long)
        assert is_waiting.wait(DEADLINE)
    assert time.monotonic() - before < DEADLINE / 2
    assert threads_named("gcapi-test")
    gate.set()
    until(lambda: not threads_named("gcapi-test"))


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that is never left, as of an abandoned generator, holds no threads; they come again when needed."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.001)
    scheduler = Scheduler(2, "gcapi-test")
    for _ in range(2):
        assert scheduler.run_all(str, range(4)) == list("0123")
        until(lambda: not threads_named("gcapi-test"))


def test_a_finished_task_is_not_held() -> None:
    """A thread that waits for its next task does not hold what the last one was given."""

    class Part:
        pass

    part = Part()
    released = threading.Event()
    weakref.finalize(part, released.set)
    with Scheduler(1, "gcapi-test") as scheduler:
        scheduler.submit(id, part).result(DEADLINE)
        del part
        assert released.wait(DEADLINE)


def test_too_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler works with fewer threads than requested; without any thread it raises an error."""
    start = threading.Thread.start
    given = 0

    def limited(thread: threading.Thread) -> None:
        nonlocal given
        if given == limit:
            raise RuntimeError("can't start new thread")
        given += 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    limit = 1
    with Scheduler(3, "gcapi-test") as scheduler:
        assert scheduler.run_all(str, range(5)) == list("01234")
        limit = given
    with Scheduler(3, "gcapi-test") as scheduler, pytest.raises(RuntimeError, match="new thread"):
        scheduler.submit(str, 1)


# ---------------------------------------------------------------- maps


def test_map_yields_in_the_order_of_ending() -> None:
    """Each item's result or error is yielded once, as soon as it is there."""
    gates = [threading.Event() for _ in range(3)]

    def task(number: int) -> int:
        gates[number].wait(DEADLINE)
        return 1 // number

    with Scheduler(3, "gcapi-test") as scheduler:
        results = scheduler.map_unordered(task, range(3))
        for number in (2, 0, 1):
            gates[number].set()
            result = next(results)
            assert result.item == number
            if number:
                assert (result.result, result.error) == (1 // number, None)
            else:
                assert isinstance(result.error, ZeroDivisionError)
        assert next(results, None) is None


def test_map_takes_items_as_threads_become_free() -> None:
    """A list of any length is taken item by item, no more than the threads can hold."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    with Scheduler(2, "gcapi-test") as scheduler:
        for count, _ in enumerate(scheduler.map_unordered(str, items()), start=1):
            assert taken <= count + 2
    assert (count, taken) == (1000, 1000)


def test_map_left_early() -> None:
    """Nothing more is begun once the scheduler is left."""
    begun: list[int] = []
    with Scheduler(2, "gcapi-test") as scheduler:
        next(scheduler.map_unordered(begun.append, range(1000)))
    assert len(begun) <= 4
    assert not threads_named("gcapi-test")


def test_map_ends_when_the_call_is_cancelled() -> None:
    """Waiting for a result ends with the cancellation, even if no task has started."""
    gate = threading.Event()
    with cancel_scope() as scope, Scheduler(1, "gcapi-test", grace=0.01) as scheduler:
        scheduler.submit(gate.wait, DEADLINE)
        timer = threading.Timer(0.01, scope.cancel)
        timer.start()
        with pytest.raises(Cancelled):
            next(scheduler.map_unordered(str, range(3)))
        timer.join()
    gate.set()
    until(lambda: not threads_named("gcapi-test"))
