"""Renew the shipped schema files (`--write`), or say which ones differ from the models."""

import sys

from shared_types.schema import shipped_files


def main(arguments: list[str]) -> int:
    """Return the exit code: 1 when a file differs and `--write` was not given."""
    stale = {
        path: text
        for path, text in shipped_files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if "--write" in arguments:
            path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.name}: {'written' if '--write' in arguments else 'differs'}\n")
    return 1 if stale and "--write" not in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
