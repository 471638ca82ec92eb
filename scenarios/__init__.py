"""Scenarios and the example applications they run against."""
