"""Asks an advisory service about everything that is locked. Run by `make audit`; needs the network.

Ends with 0 only when the service has answered for every package and knows nothing against it.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = ("bootstrap.lock", "dev.lock", "app.lock")
OPTIONS = ("--vulnerability-service", "osv", "--require-hashes", "--disable-pip", "--strict")
ANSWERED = ("No known vulnerabilities found", "known vulnerabilit")


def audit(lock: str) -> bool:
    """Return whether nothing is known against a lock; what was found is printed."""
    program = str(Path(sys.executable).parent / "pip-audit")
    command = [program, *OPTIONS, "--progress-spinner", "off", "-r", str(HERE / lock)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    said = f"{asked.stdout}\n{asked.stderr}"
    if not any(sign in said for sign in ANSWERED):
        reason = said.strip().rpartition("\n")[2][:200]
        said = f"NOT audited, the advisory service did not answer for all of it: {reason}"
    sys.stdout.write(f"{lock}: {said.strip()}\n")
    return asked.returncode == 0


if __name__ == "__main__":
    results = [audit(lock) for lock in LOCKS]
    sys.exit(not all(results))
