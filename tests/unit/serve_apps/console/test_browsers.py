"""Sessions name browsers and systems, not what browsers send."""

import pytest

from serve_apps.console.browsers import browser_in_words

MOZILLA = "Mozilla/5.0"
KIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox 133 on Linux"),
        (
            f"{MOZILLA} (Windows NT 10.0; Win64; x64) {KIT} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
            "Edge 131 on Windows",
        ),
        (
            f"{MOZILLA} (Linux; Android 10; K) {KIT} Chrome/131.0.0.0 Mobile Safari/537.36",
            "Chrome 131 on Android",
        ),
        (
            f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {KIT} Version/18.1 Safari/605.1.15",
            "Safari 18 on macOS",
        ),
        (
            f"{MOZILLA} (iPhone; CPU iPhone OS 18_1) {KIT} Version/18.1 Mobile/15E148 Safari/604.1",
            "Safari 18 on iPhone",
        ),
        ("curl/8.5.0", "curl 8"),
        ("<script>a tool</script>", "<script>a tool</script>"),
        ("", ""),
    ],
)
def test_browser_is_named_with_its_system(sent: str, expected: str) -> None:
    assert browser_in_words(sent) == expected
