"""One run of a producer: its Job, what it sent, and whether the stack concluded from it what was expected."""
