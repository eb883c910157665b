"""`edged` with a guard on its event loop: a call that blocks it raises BlockingError."""

from blockbuster import BlockBuster

from edged.cli import main

if __name__ == "__main__":
    guard = BlockBuster()
    # Where its coverage is measured, all threads write to one table, in turn.
    guard.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
    guard.activate()
    main()
