"""`edged` with a guard on its event loop: a call that blocks it raises BlockingError."""

from blockbuster import BlockBuster

from edged.cli import main

if __name__ == "__main__":
    guard = BlockBuster()
    guard.activate()
    main()
