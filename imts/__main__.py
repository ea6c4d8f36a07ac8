"""`python -m imts` is the `imts` command."""

from imts.cli.app import main

if __name__ == "__main__":
    main()
