"""The console's own files: named by their hash, compressed once, kept by browsers for a year."""

import hashlib
import zlib
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.answers import accepts_gzip
from serve_apps.http.problems import Problem

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_KEPT: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}


class Assets:
    """Every file of the folder, in memory."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, tuple[bytes, bytes, str]] = {}
        self._names: dict[str, str] = {}
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            served = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
            self._names[path.name] = served
            self._files[served] = content, zlib.compress(content, 9, wbits=31), TYPES[path.suffix]

    def path(self, name: str) -> str:
        """Return the address of a file by its name in the folder."""
        return f"/console/static/{self._names[name]}"

    def answer(self, request: Request, served: str) -> Response:
        """Return a file by the name that it is served under.

        Raises:
            Problem: 404 for another name, also for one of an earlier release.
        """
        if served not in self._files:
            raise Problem(404, "not_found", "There is no such file; load the page again.")
        plain, packed, kind = self._files[served]
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            return Response(packed, headers={**_KEPT, "Content-Encoding": "gzip"}, media_type=kind)
        return Response(plain, headers=_KEPT, media_type=kind)
