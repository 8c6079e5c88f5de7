"""`python -m loupe` is the command `loupe`."""

from loupe.cli import main

if __name__ == "__main__":
    main()
