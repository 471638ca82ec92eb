"""The measured cases: app programs, client programs, and the tokens of what each side saw."""
