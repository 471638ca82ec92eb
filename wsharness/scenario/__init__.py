"""Scenarios: the plan of a conversation, written, recorded or generated."""
