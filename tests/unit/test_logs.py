"""Logs of one process: every logger follows the process's settings, whichever entry point set them."""

import structlog
from structlog.testing import capture_logs

from signals.logs import configure_logs


def test_logger_follows_the_settings_after_a_second_entry_point() -> None:
    configure_logs()
    logger = structlog.get_logger()
    logger.debug("first line")  # keeps its processors for good
    configure_logs()
    with capture_logs() as lines:
        logger.error("second line")
    assert [line["event"] for line in lines] == ["second line"]
