"""`wordgen serve`: the playground, a page to write on with trained models. Nothing here may import TensorFlow."""

import argparse
import os
import secrets
from importlib.util import find_spec

from wordgen import __version__
from wordgen.cli.exits import EXIT_OK
from wordgen.cli.flags import Parser, add_flags, settings_from, verb_parser
from wordgen.cli.generate import limit_threads
from wordgen.cli.output import tell
from wordgen.errors import MissingPartError
from wordgen.web.limits import ServingSettings, is_loopback

_NEEDED = ("starlette", "uvicorn")


def make_parser(prog: str) -> Parser:
    parser = verb_parser(prog, "Open the playground: a page on this machine to write with trained models.", "lotr")
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="*",
        help="runs' names or models' folders to write with; by default all in saved_models",
    )
    add_flags(parser, ServingSettings, "the server")
    parser.add_argument("--browser", action="store_true", help="open the page in the browser, too (default: no)")
    return parser


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(ServingSettings, arguments)
    _check_extra()
    limit_threads(max(1, min(4, (os.cpu_count() or 1) // settings.at_once)))
    from wordgen.web.serving import address_of, listen, serve
    from wordgen.web.shelf import Shelf

    shelf = Shelf(arguments.models)
    with listen(settings) as listening:
        token = settings.token or secrets.token_urlsafe(24)
        address = f"{address_of(listening)}?token={token}"
        if not is_loopback(settings.host):
            tell(
                f"The playground listens on {settings.host}: everybody who can reach this machine and knows the token "
                "can use it. Without --host it is for this machine alone."
            )
        tell(f"The playground is at {address} (Ctrl-C closes it).")
        if arguments.browser:
            _open_browser(address)
        serve(listening, shelf, settings, __version__, token)
    tell("\nThe playground is closed. Goodbye!")
    return EXIT_OK


def _check_extra() -> None:
    if any(find_spec(name) is None for name in _NEEDED):
        raise MissingPartError(
            'The playground needs two more packages: pip install "wordgen[web]" (in a checkout: '
            "pip install -r requirements-web.txt)."
        )


def _open_browser(address: str) -> None:
    import webbrowser

    webbrowser.open(address)
