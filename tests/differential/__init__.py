"""The same programs on real server processes and on their profiles: the tokens must agree."""
