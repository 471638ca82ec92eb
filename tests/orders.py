"""What a coroutine does under every schedule."""

from wsharness.runner import run

SEEDS = range(40)


def under_all(main, seeds=SEEDS):
    """What `main` returns under fifo and under many seeds."""
    yield run(main)
    for spec in ("random", "pct"):
        for seed in seeds:
            yield run(main, schedule=spec, seed=seed)
