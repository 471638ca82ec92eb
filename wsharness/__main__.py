"""`python -m wsharness`: the command line, where the script is not on the path."""

from wsharness.cli import main

if __name__ == "__main__":
    main()
