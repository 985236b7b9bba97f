"""What became of a request, in a bounded set of words."""

import socket

from gevent import Timeout
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from tally import BALANCER, NOBODY

# Every value of the label `error`.
ERRORS = (
    "connect_failed",
    "connection_lost",
    "timeout",
    "status_429",
    "status_4xx",
    "status_500",
    "status_502",
    "status_503",
    "status_504",
    "status_5xx",
    "status_other",
    "wrong_answer",
    "unfinished",
    "other",
)

_OWN_WORD = {429, 500, 502, 503, 504}


def error_of(response, ask):
    """The word for what is wrong with an answer; empty when nothing is."""
    status = response.status_code
    if not status:
        return _error_of_connection(getattr(response, "error", None))
    if status != ask.status:
        return _error_of_status(status)
    if ask.holds and ask.holds not in (response.content or b""):
        return "wrong_answer"
    return ""


def _error_of_status(status):
    if status in _OWN_WORD:
        return f"status_{status}"
    return {4: "status_4xx", 5: "status_5xx"}.get(status // 100, "status_other")


def _error_of_connection(error):
    if isinstance(error, (ConnectionRefusedError, socket.gaierror)):
        return "connect_failed"
    if isinstance(error, (socket.timeout, TimeoutError, Timeout)):
        return "timeout"
    if isinstance(error, (ConnectionError, HTTPConnectionClosed, HTTPParseError)):
        return "connection_lost"
    return "connect_failed" if isinstance(error, OSError) else "other"


def backend_of(response):
    """The backend that answered, by the name it gives itself."""
    if not response.status_code:
        return NOBODY
    return response.headers.get("X-Server-Id") or BALANCER
