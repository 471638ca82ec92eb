import pytest

from wsharness.errors import UsageError
from wsharness.scheduling import MAX_SPIN, PCT, ReadyQueue, Schedule, make_schedule


def fill(schedule, handles):
    queue = ReadyQueue(schedule, lambda handle: handle if isinstance(handle, int) else None)
    for handle in handles:
        queue.append(handle)
    return queue


def drain(queue):
    return [queue.popleft() for _ in range(len(queue))]


def order(spec, handles, seed=0):
    return drain(fill(make_schedule(spec, seed), handles))


@pytest.mark.parametrize("spec", ["fifo", {}, "random", "pct", "pct:1", "pct:5"])
def test_every_handle_runs_once(spec):
    handles = [1, 2, "a", 3, "b", "c", 4, 5, 6]
    assert sorted(order(spec, handles, 3), key=str) == sorted(handles, key=str)


@pytest.mark.parametrize("spec", ["fifo", {}])
def test_fifo_keeps_the_order(spec):
    assert order(spec, [3, 1, "a", 2, 4]) == [3, 1, "a", 2, 4]


def test_random_reaches_every_order():
    seen = {tuple(order("random", [1, 2, 3], seed)) for seed in range(60)}
    assert len(seen) == 6


@pytest.mark.parametrize("spec", ["random", "pct"])
def test_nothing_crosses_a_plain_callback(spec):
    for seed in range(40):
        ran = order(spec, [1, 2, "a", 3, 4, "b"], seed)
        assert (set(ran[:2]), ran[2], set(ran[3:5]), ran[5]) == ({1, 2}, "a", {3, 4}, "b")


def test_plain_callbacks_keep_their_order():
    for seed in range(20):
        assert order("random", ["a", "b", "c"], seed) == ["a", "b", "c"]


@pytest.mark.parametrize("spec", ["random", "pct"])
def test_deviations_replay_the_run(spec):
    for seed in range(30):
        schedule = make_schedule(spec, seed)
        first = drain(fill(schedule, [1, 2, 3, "a", 4, 5]))
        again = make_schedule(schedule.deviations)
        assert drain(fill(again, [1, 2, 3, "a", 4, 5])) == first
        assert again.deviations == schedule.deviations


def test_fifo_relative_deviations_are_none():
    schedule = make_schedule({})
    drain(fill(schedule, [1, 2, 3]))
    assert (schedule.deviations, schedule.contested) == ({}, 2)


def test_a_lone_task_is_not_contested():
    schedule = make_schedule("random", 1)
    drain(fill(schedule, [1, "a", 2, "b"]))
    assert schedule.contested == 0


def test_a_deviation_beyond_the_ready_tasks_takes_the_last():
    assert order({0: 99}, [1, 2, 3]) == [3, 1, 2]


def test_same_seed_same_order_and_another_seed_another():
    handles = list(range(20))
    assert order("random", handles, 5) == order("random", handles, 5)
    assert order("random", handles, 5) != order("random", handles, 6)
    assert order("pct", handles, 5) == order("pct", handles, 5)


def test_pct_runs_one_task_until_a_drop():
    schedule = PCT(3, depth=1)
    queue = fill(schedule, [1, 2])
    first = queue.popleft()
    for _ in range(MAX_SPIN // 2):
        queue.append(first)
        assert queue.popleft() == first


def test_pct_drops_the_running_task_at_the_drawn_steps():
    switches = set()
    for seed in range(30):
        queue = fill(PCT(seed, depth=2, horizon=10), [1, 2])
        ran = []
        for _ in range(10):
            ran.append(queue.popleft())
            queue.append(ran[-1])
        switches.add(sum(a != b for a, b in zip(ran, ran[1:])))
    assert switches <= {0, 1}
    assert 1 in switches


def test_pct_does_not_starve_a_task_another_polls_for():
    queue = fill(PCT(3, depth=1), [1, 2])
    ran = set()
    for _ in range(3 * MAX_SPIN):
        task = queue.popleft()
        ran.add(task)
        queue.append(task)
    assert ran == {1, 2}


def test_a_schedule_of_ones_own_is_taken_as_it_is():
    class Last(Schedule):
        name = "last"

        def choose(self, tasks):
            return len(tasks) - 1

    assert order(Last(), [1, 2, 3]) == [3, 2, 1]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("rnadom", "did you mean 'random'"),
        ("FIFO", "did you mean 'fifo'"),
        ("pct:x", "expected a depth from 1 to 100"),
        ("pct:0", "expected a depth"),
        ("pct:", "expected a depth"),
        ("fifo:3", "got 'fifo:3'"),
        ("", "expected a schedule, one of 'fifo', 'random', 'pct'"),
        (None, "got None"),
        (7, "got 7"),
        ({"a": 1}, "got 'a': 1"),
        ({1: -1}, "got 1: -1"),
        ({True: 1}, "got True: 1"),
    ],
)
def test_another_schedule_is_one_clear_error(spec, text):
    with pytest.raises(UsageError, match=text):
        make_schedule(spec, 0)


def test_the_queue_stands_in_for_a_deque():
    queue = fill(make_schedule("random", 1), [1, "a"])
    queue.extend(iter([2, "b"]))
    assert (len(queue), bool(queue), list(queue)) == (4, True, [1, "a", 2, "b"])
    queue.clear()
    assert (len(queue), bool(queue), list(queue)) == (0, False, [])
