"""How fast wsharness is, beside the bare floor and other test clients, measured in one run on one machine.

`make bench`, or `python -m benchmarks [MODULE ...]`. A module with a `measure()` is a benchmark.
"""
