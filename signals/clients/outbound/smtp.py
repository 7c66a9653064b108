"""Sends mail to a checked address, with STARTTLS or TLS, within one deadline."""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import structlog

from signals.clients.outbound.guard import (
    CONNECT_S,
    AddressRefused,
    Deadline,
    HostUnknown,
    resolve,
)
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.messages import NoticeMessage
from signals.domain.notifications.rendering import mail
from signals.domain.notifications.targets import EmailTarget

CALLER: Final = "signals"  # said in EHLO: the name of this machine is nobody's business

log = structlog.get_logger(__name__)


class OutboundMail:
    """Sends one mail a connection; may be used by several threads."""

    def __init__(self, allowed: AllowList, tls: ssl.SSLContext, *, timeout_s: float) -> None:
        self._allowed = allowed
        self._tls = tls
        self._timeout_s = timeout_s

    def send(self, target: EmailTarget, message: NoticeMessage) -> DeliveryResult:
        """Send one mail. A 4xx answer may be repeated; a 5xx one is final.

        Recipients of whom some were accepted count as told: a repeat would reach those twice.
        """
        written = mail(message, target)
        try:
            with self._session(target) as session:
                refused = session.send_message(written, from_addr=target.sender, to_addrs=list(target.to))
        except AddressRefused as error:
            return DeliveryResult(state="refused", error=str(error))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            later = [code for code in codes if 400 <= code < 500]  # one that is put off may get it later
            return _answered(min(later or codes), "the recipients")
        except smtplib.SMTPAuthenticationError as error:
            return _answered(error.smtp_code, "user and password")
        except smtplib.SMTPResponseException as error:
            return _answered(error.smtp_code, "the mail")
        except smtplib.SMTPNotSupportedError:
            return DeliveryResult(state="refused", error="the mail server does not offer STARTTLS or AUTH")
        except ssl.SSLCertVerificationError:
            return DeliveryResult(
                state="retry", error="its certificate is not trusted, or is for another host"
            )
        except (HostUnknown, OSError, smtplib.SMTPException) as error:
            reason = (
                str(error) if isinstance(error, HostUnknown) else "the connection failed or took too long"
            )
            is_sent = not isinstance(error, HostUnknown | ConnectionRefusedError)
            return DeliveryResult(state="retry", error=reason, is_uncertain=is_sent)
        if refused:  # the others have it: to repeat it would disturb them
            log.warning("mail refused for some recipients", host=target.host, recipients=len(refused))
        return DeliveryResult(state="told", status=250, reference=message.reference or str(message.notice_id))

    @contextmanager
    def _session(self, target: EmailTarget) -> Iterator[smtplib.SMTP]:
        deadline = Deadline.within(self._timeout_s)
        session = _CheckedSmtp(self._allowed, deadline, self._tls if target.security == "tls" else None)
        timer = threading.Timer(self._timeout_s, session.cut)
        timer.daemon = True
        timer.start()
        try:
            session.connect(target.host, target.port)
            session.ehlo_or_helo_if_needed()
            if target.security == "starttls":
                session.starttls(context=self._tls)
            if target.username is not None and target.password is not None:
                session.login(target.username, target.password.get_secret_value())
            yield session
            with suppress(smtplib.SMTPException, OSError):  # the mail is accepted already
                session.quit()
        finally:
            timer.cancel()
            session.close()


class _CheckedSmtp(smtplib.SMTP):
    """smtplib's client, with its connection through `resolve`; TLS from the first byte if asked."""

    def __init__(self, allowed: AllowList, deadline: Deadline, tls: ssl.SSLContext | None) -> None:
        super().__init__(local_hostname=CALLER, timeout=deadline.left())
        self._allowed = allowed
        self._deadline = deadline
        self._tls = tls
        self._raw: socket.socket | None = None

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: Any = None
    ) -> tuple[int, bytes]:
        self._host = host  # TLS checks the certificate against it
        return super().connect(host, port, source_address)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        address = resolve(host, port, self._allowed)
        connected = socket.create_connection((address, port), self._deadline.left(CONNECT_S))
        connected.settimeout(self._deadline.left())
        self._raw = connected
        if self._tls is None:
            return connected
        return self._tls.wrap_socket(connected, server_hostname=host)

    def cut(self) -> None:
        """End the connection: a read that waits returns at once."""
        for found in (getattr(self, "sock", None), self._raw):
            if found is not None:
                with suppress(OSError):
                    found.shutdown(socket.SHUT_RDWR)


def _answered(code: int, about: str) -> DeliveryResult:
    if 400 <= code < 500:
        return DeliveryResult(state="retry", status=code, error=f"the mail server put off {about} ({code})")
    return DeliveryResult(state="refused", status=code, error=f"the mail server refuses {about} ({code})")
