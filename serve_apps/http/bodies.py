"""Reads request bodies within bounds, before and after decompression."""

import asyncio
import zlib
from typing import Final

import zstandard
from starlette.requests import ClientDisconnect, Request

from serve_apps.http.problems import Problem

BODY_WITHIN_S: Final = 20.0  # guess: 8 MiB over a slow line; a body that drips frees its slot after this
MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024  # RFC 8878 recommends decoders to support 8 MiB
ZSTD_STEP_BYTES: Final = 256  # holds at most 64 blocks, which inflate to 8 MiB at most (RFC 8878)


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the decompressed body, at most `limit_bytes` long both on the wire and decompressed.

    Raises:
        Problem: 413 beyond the limit, 415 for an unknown encoding, 400 for a broken body,
            408 for one that takes longer than `BODY_WITHIN_S`.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", *DECOMPRESSORS):
        raise Problem(415, "unsupported_encoding", "Send the body as identity, gzip or zstd.")
    body = await _read(request, limit_bytes)
    decompress = DECOMPRESSORS.get(encoding)
    return decompress(body, limit_bytes) if decompress else body


async def _read(request: Request, limit_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise too_large(limit_bytes)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit_bytes:
                    raise too_large(limit_bytes)
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
    inflater = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
    plain, position = bytearray(), 0
    try:
        while position < len(body) and not inflater.eof and len(plain) <= limit_bytes:
            plain += inflater.decompress(body[position : position + ZSTD_STEP_BYTES])
            position += ZSTD_STEP_BYTES
    except zstandard.ZstdError as error:
        raise Problem(400, "malformed_zstd", "The body is no valid zstd.") from error
    if len(plain) > limit_bytes:
        raise too_large(limit_bytes)
    if not inflater.eof or inflater.unused_data or position < len(body):
        raise Problem(400, "malformed_zstd", "The zstd body is cut off or followed by more.")
    return bytes(plain)


def too_large(limit_bytes: int) -> Problem:
    """Return the 413 that names the limit."""
    return Problem(413, "too_large", f"Send at most {limit_bytes} bytes, also counted decompressed.")


DECOMPRESSORS: Final = {"gzip": _gunzip, "zstd": _unzstd}
