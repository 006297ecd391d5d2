"""Why no answer came over HTTP, in words, and what would help."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from lanekeeper.domain.errors import Unavailable


def no_answer(whom: str, error: Exception) -> Unavailable:
    """What to raise for a failure of the transport on the way to *whom*.

    An address that does answer, only not as it was asked, is told as such: TLS spoken to plain
    HTTP, plain HTTP to TLS, a certificate that is another name's.
    """
    ended = False
    for cause in _chain(error):
        ended = ended or isinstance(cause, ConnectionResetError | BrokenPipeError)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(whom, cause)
        if isinstance(cause, ssl.SSLError):
            return Unavailable(
                f"{whom} answers, but not with TLS ({cause.reason or cause})",
                hint="if it listens for plain HTTP (on loopback only), write http:// in its URL",
            )
    said = str(error) or type(error).__name__
    if ended or "disconnected without sending" in said:
        return Unavailable(
            f"{whom} ended the connection without an answer",
            hint="a port that speaks TLS does so when asked in plain HTTP: write https:// in its "
            "URL; otherwise its log says why",
        )
    return Unavailable(f"{whom} does not answer: {said}")


def _untrusted(whom: str, error: ssl.SSLCertVerificationError) -> Unavailable:
    if "mismatch" in error.verify_message.lower():
        return Unavailable(
            f"{whom} answers with a certificate that does not name this address: "
            f"{error.verify_message}",
            hint="start the controller with --name ADDRESS, or use an address that it listens on",
        )
    return Unavailable(
        f"{whom} answers with a certificate that is not trusted: {error.verify_message}",
        hint="name the file of its CA (OS_CACERT, cacert, --cacert)",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
