"""Reads request bodies within bounds, before and after decompression."""

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import brotli
import zstandard
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from serve_apps.http.problems import Problem, unavailable

BODY_WITHIN_S: Final = 20.0  # guess: 8 MiB over a slow line; a body that drips frees its slot after this
MAX_EVENT_BYTES: Final = 1024 * 1024  # guess: bounds memory; docs/how-to/send-events.md states it
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024  # also of a foreign protocol's request
MAX_PATCH_BYTES: Final = 4096
MAX_RULE_BYTES: Final = 64 * 1024  # guess: a rule that lists a hundred long routes
MAX_MODEL_BYTES: Final = 16_384  # guess: a destination with all its fields at their longest has some 8 KiB
"""The largest bodies, before and after decompression."""
MAX_ARRIVING_BYTES: Final = 128 * 1024 * 1024  # guess: of all bodies that are being received by a process
MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024  # RFC 8878 recommends decoders to support 8 MiB
BR_STEP_BYTES: Final = 64 * 1024
AT_ONCE_BYTES: Final = 1024 * 1024  # guess: kept beside the window; most clients' bodies are smaller
ZSTD_STEP_BYTES: Final = 32  # holds at most 8 blocks, which inflate to 1 MiB at most (RFC 8878)


Model = TypeVar("Model", bound=BaseModel)


@dataclass(slots=True)
class _Arriving:
    """The bytes of the bodies that this process is receiving; its event loop alone changes them."""

    size_bytes: int = 0


_arriving = _Arriving()


async def read_body(
    request: Request, limit_bytes: int, decompressors: "Mapping[str, Decompress] | None" = None
) -> bytes:
    """Return the decompressed body, at most `limit_bytes` long both on the wire and decompressed.

    `decompressors` are `DECOMPRESSORS` unless the protocol knows more encodings.

    Raises:
        Problem: 413 beyond the limit, 415 for an unknown encoding, 400 for a broken body,
            408 for one that takes longer than `BODY_WITHIN_S`, 503 beyond `MAX_ARRIVING_BYTES` of all bodies.
    """
    known = DECOMPRESSORS if decompressors is None else decompressors
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", *known):
        names = ", ".join(["identity", *known])
        raise Problem(415, "unsupported_encoding", f"Send the body in one of these encodings: {names}.")
    body = await _read(request, limit_bytes)
    decompress = known.get(encoding)
    return decompress(body, limit_bytes) if decompress else body


async def read_model(request: Request, kind: type[Model]) -> Model:
    """Return the JSON body as a model.

    Raises:
        Problem: 400 naming the first field at fault, and as `read_body` does.
    """
    body = await read_body(request, MAX_MODEL_BYTES)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        # Neither the input nor the text of a nested error: both may hold a secret.
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        detail = f"{place or 'body'}: {fault['msg']}."
    raise Problem(400, "invalid_body", detail, members={"field": place or "body"})


async def _read(request: Request, limit_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise too_large(limit_bytes)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                _arriving.size_bytes += len(chunk)
                if size > limit_bytes:
                    raise too_large(limit_bytes)
                if _arriving.size_bytes > MAX_ARRIVING_BYTES:
                    raise unavailable("Too many large requests arrive at once; try again.", retry_after_s=1)
                chunks.append(chunk)
    except TimeoutError as error:
        raise Problem(
            408,
            "slow_body",
            f"Send the whole body within {BODY_WITHIN_S:g} s.",
            headers={"Connection": "close"},  # what is left of the body must not be read as a request
        ) from error
    except ClientDisconnect as error:
        raise Problem(400, "incomplete_body", "The body ended early.") from error
    finally:
        _arriving.size_bytes -= size
    return b"".join(chunks)


def _gunzip(body: bytes, limit_bytes: int) -> bytes:
    try:
        inflater = zlib.decompressobj(wbits=31)  # gzip only
        plain = inflater.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise Problem(400, "malformed_gzip", "The body is no valid gzip.") from error
    if len(plain) > limit_bytes:
        raise too_large(limit_bytes)
    if not inflater.eof or inflater.unused_data:
        raise Problem(400, "malformed_gzip", "The gzip body is cut off or followed by more.")
    return plain


def _unzstd(body: bytes, limit_bytes: int) -> bytes:
    return _in_steps(body, limit_bytes, _unzstd_steps)


def _unzstd_steps(body: bytes) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
    position = 0
    try:
        while position < len(body) and not inflater.eof:
            yield inflater.decompress(body[position : position + ZSTD_STEP_BYTES])
            position += ZSTD_STEP_BYTES
    except zstandard.ZstdError as error:
        raise Problem(400, "malformed_zstd", "The body is no valid zstd.") from error
    if not inflater.eof or inflater.unused_data or position < len(body):
        raise Problem(400, "malformed_zstd", "The zstd body is cut off or followed by more.")


def _in_steps(body: bytes, limit_bytes: int, steps: Callable[[bytes], Iterator[bytes]]) -> bytes:
    """Decompress in steps; a large body once to see its size only, because windows take up to 16 MiB."""
    pieces: list[bytes] = []
    size_bytes = 0
    for piece in steps(body):
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            raise too_large(limit_bytes)
        if size_bytes <= AT_ONCE_BYTES:
            pieces.append(piece)
    return b"".join(pieces if size_bytes <= AT_ONCE_BYTES else steps(body))


def inflate(body: bytes, limit_bytes: int) -> bytes:
    """Decompress `deflate`: zlib's format, or raw as some clients send it.

    Raises:
        Problem: 413 beyond the limit, 400 for a broken body.
    """
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        inflater = zlib.decompressobj(wbits)
        try:
            plain = inflater.decompress(body, limit_bytes + 1)
        except zlib.error:
            continue
        if len(plain) > limit_bytes:
            raise too_large(limit_bytes)
        if inflater.eof and not inflater.unused_data:
            return plain
    raise Problem(400, "malformed_deflate", "The body is no valid deflate, or it is cut off.")


def _unbrotli(body: bytes, limit_bytes: int) -> bytes:
    return _in_steps(body, limit_bytes, _unbrotli_steps)


def _unbrotli_steps(body: bytes) -> Iterator[bytes]:
    inflater = brotli.Decompressor()
    try:
        piece = inflater.process(body, output_buffer_limit=BR_STEP_BYTES)
        while piece:
            yield piece
            piece = (
                b"" if inflater.is_finished() else inflater.process(b"", output_buffer_limit=BR_STEP_BYTES)
            )
    except brotli.error as error:
        raise Problem(400, "malformed_br", "The body is no valid br.") from error
    if not inflater.is_finished():
        raise Problem(400, "malformed_br", "The br body is cut off.")


def too_large(limit_bytes: int) -> Problem:
    """Return the 413 that names the limit."""
    return Problem(413, "too_large", f"Send at most {limit_bytes} bytes, also counted decompressed.")


Decompress = Callable[[bytes, int], bytes]
DECOMPRESSORS: Final[Mapping[str, Decompress]] = {"gzip": _gunzip, "zstd": _unzstd}
ALL_DECOMPRESSORS: Final[Mapping[str, Decompress]] = {
    **DECOMPRESSORS,
    "x-gzip": _gunzip,
    "deflate": inflate,
    "br": _unbrotli,
}
"""With those that clients of other products choose by themselves."""
