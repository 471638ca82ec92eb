"""The same tiny app on every framework."""
