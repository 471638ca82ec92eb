"""Real servers for tests of real connections."""
