"""The settings and limits of the playground's server, and the errors for requests that it refuses."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from wordgen.errors import SettingError, WordgenError
from wordgen.settings import Settings, setting

MAX_BYTES = 256 * 1024
"""The largest body of a request, in bytes. Of a longer prompt, a model would read only the end."""
MAX_DISCARDED_BYTES = 16 * 1024 * 1024
"""The most bytes to read and discard of a request that is too large. Only after the server has read a request can the
client read why it was refused."""
REQUEST_TIMEOUT_SECONDS = 20
SECONDS_TO_RETRY_AFTER = 5
MAX_BEAMS = 20
MAX_NEXT_WORDS = 50
MAX_LOADED_MODELS = 4
HEADER_TIMEOUT_SECONDS = 10
"""The server closes a connection that has not sent the headers of a request after this time."""
MAX_CONNECTIONS = 500
MAX_CONNECTIONS_PER_ADDRESS = 100
"""The most connections from one address. Addresses of this machine have no limit of their own."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,100}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ServingSettings(Settings):
    host: str = setting(
        "127.0.0.1",
        help="the address to listen on; only this machine can reach 127.0.0.1, other machines can reach 0.0.0.0",
    )
    port: int = setting(8000, at_least=0, at_most=65535, help="the port to listen on; 0 chooses a free one")
    token: str | None = setting(
        None,
        help="a password that each request must send, because all users of this machine can reach the playground: 8 "
        "to 100 letters, digits, - and _ (by default, a new one at each start, which is part of the printed address)",
    )
    longest: int = setting(
        1000,
        at_least=1,
        at_most=100_000,
        help="the maximum number of tokens (words and punctuation marks) that a request may ask for",
    )
    at_once: int = setting(2, at_least=1, at_most=64, help="the number of requests that are answered at the same time")
    waiting: int = setting(32, at_least=0, at_most=10_000, help="the number of further requests that may wait")
    time_out: float = setting(
        60.0, above=0, at_most=86_400, help="the seconds that a request may wait, and the seconds that it may then take"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise SettingError("--token must have 8 to 100 letters, digits, - and _.")

    @property
    def most_tokens(self) -> int:
        """The most tokens after the prompt in a request: enough for a text that was continued several times."""
        return 10 * self.longest

    @property
    def upper_limits(self) -> dict[str, int]:
        """The upper limits of the server for some settings of generation. The command line allows larger values."""
        return {"length": self.longest, "at_least": self.longest, "beams": MAX_BEAMS}


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host. False if the host is empty or cannot be resolved."""
    try:
        addresses = {each[4][0] for each in socket.getaddrinfo(host, None)} if host else set()
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in addresses)


class RefusedError(WordgenError):
    """Raised when the server refuses a request or cannot complete it.

    `status` is the HTTP status, `sentence` the reason for the user. `retry_after` is the number of seconds after which
    the client may try again, or None.
    """

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after


class TimeLimitError(RefusedError):
    """Raised when work has run longer than the allowed number of seconds."""

    def __init__(self, seconds: float) -> None:
        sentence = f"The request took longer than the limit of {seconds:g} seconds: ask for less."
        super().__init__(503, sentence, SECONDS_TO_RETRY_AFTER)


def error_response(error: WordgenError) -> tuple[int, dict[str, str], dict[str, str]]:
    """Return the HTTP status, the JSON content and the headers of the response to an error.

    A SettingError is a fault of the request (422). All errors but this one and RefusedError are faults of the server or
    of its files (500), and no other request would help.
    """
    status, headers = 422 if isinstance(error, SettingError) else 500, {}
    if isinstance(error, RefusedError):
        status = error.status
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return status, {"error": str(error)}, headers
