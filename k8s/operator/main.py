"""`signals-operator`: the operator's process."""


def main() -> None:
    """Run until the process is told to end."""
    raise SystemExit("the operator's loop is not in this version yet; the types and CRDs are")
