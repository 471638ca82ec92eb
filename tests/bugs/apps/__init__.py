"""One bug a file; see the package above."""
