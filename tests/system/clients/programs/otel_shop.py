"""A program that logs exceptions through OpenTelemetry: `otel_shop.py ORDERS`; the exporter reads OTEL_*."""

import logging
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor


def main(orders: int) -> None:
    """Log a failure for every order, and as many lines that are no signal."""
    logging.basicConfig(level=logging.WARNING)
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    logger = provider.get_logger("shop.pay")
    for order in range(48_000, 48_000 + orders):
        logger.emit(LogRecord(severity_number=SeverityNumber.INFO, body=f"order {order}"))
        fault = {"exception.type": "PaymentDeclined", "exception.message": f"order {order}"}
        logger.emit(
            LogRecord(
                severity_number=SeverityNumber.ERROR,
                body="payment failed",
                attributes={**fault, "http.route": "/checkout/:order", "http.request.method": "POST"},
            )
        )
    assert provider.force_flush(60_000)
    provider.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
