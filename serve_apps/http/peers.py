"""The address that a request came from, for limits of attempts."""

from starlette.requests import Request

from signals.ray_node.haproxy import PEER_HEADER


def peer_of(request: Request, proxies: int) -> str:
    """Return the address of the client; `proxies` of the installation's own stand before HAProxy.

    HAProxy names its peer. Each proxy adds its own peer to `X-Forwarded-For`, so that only the last `proxies`
    addresses there are true: earlier ones may be invented.
    """
    peer = request.headers.get(PEER_HEADER) or (request.client.host if request.client else "unknown")
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")[-proxies:] if proxies else []
    return forwarded[0].strip() if len(forwarded) == proxies > 0 and forwarded[0].strip() else peer
