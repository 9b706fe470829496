"""`python -m pool`: the same as the command `bridgepool`."""

from pool.cli import main

if __name__ == "__main__":
    main()
