"""What a user may choose about the playground, and what it takes from those who ask it."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from wordgen.errors import SettingError
from wordgen.settings import Settings, setting

MOST_BYTES = 256 * 1024
"""Of one request. Of a longer seed a model would read the end alone."""
MOST_BYTES_THROWN_AWAY = 16 * 1024 * 1024
"""So much of a request that is too large is taken in and forgotten, so that its sender gets to read why."""
SECONDS_FOR_A_REQUEST_TO_COME = 20
SECONDS_TO_RETRY_AFTER = 5
MOST_BEAMS = 20
MOST_NEXT_WORDS = 50
MOST_MODELS_AT_HAND = 4
SECONDS_FOR_HEADERS = 10
"""A connection that has not sent the headers of a request by then is closed."""
MOST_CONNECTIONS = 500
MOST_CONNECTIONS_OF_AN_ADDRESS = 100
"""Of one address of another machine."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,100}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ServingSettings(Settings):
    host: str = setting(
        "127.0.0.1", help="the address to listen on; this one is for this machine alone, 0.0.0.0 for the whole network"
    )
    port: int = setting(8000, at_least=0, at_most=65535, help="the port to listen on; 0 takes a free one")
    token: str | None = setting(
        None,
        help="what a browser or program must know to use the playground, for every user of this machine can reach it; "
        "letters, digits, - and _ (by default drawn anew at each start, and part of the address that is printed)",
    )
    longest: int = setting(
        1000, at_least=1, at_most=100_000, help="the most symbols (words and punctuation) that a text may be asked for"
    )
    at_once: int = setting(2, at_least=1, at_most=64, help="how many requests are worked on at once")
    waiting: int = setting(32, at_least=0, at_most=10_000, help="how many requests more may wait for their turn")
    time_out: float = setting(
        60.0, above=0, at_most=86_400, help="how many seconds a request may wait, and then again may take"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise SettingError("--token must have 8 to 100 letters, digits, - and _.")

    @property
    def most_symbols(self) -> int:
        """Of what stands behind a seed already: a text that was gone on with several times."""
        return 10 * self.longest

    @property
    def tighter(self) -> dict[str, int]:
        """Settings of writing that may be no larger here than so."""
        return {"length": self.longest, "at_least": self.longest, "beams": MOST_BEAMS}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host; one that cannot be found is not."""
    try:
        addresses = {each[4][0] for each in socket.getaddrinfo(host, None)} if host else set()
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in addresses)
