"""The pytest plugin: fixtures, marks, scenario files as tests; pytest starts without importing wsharness."""


class LeakedTaskWarning(UserWarning):
    """The app left a task running that it made for a connection which has ended."""
