"""`wordgen serve`: the playground, a web page for writing with trained models.

This module must not import TensorFlow.
"""

import argparse
import os
import secrets
from importlib.util import find_spec

from wordgen.cli.flags import Parser, add_flags, add_switch, settings_from, verb_parser
from wordgen.cli.output import print_message
from wordgen.cli.start import limit_threads
from wordgen.errors import MissingPartError
from wordgen.web.limits import ServingSettings, is_loopback


def serve_parser(prog: str) -> Parser:
    parser = verb_parser(prog, _run, "Open the playground, a web page for writing with trained models.", "lotr")
    parser.add_argument(
        "served",
        metavar="MODEL",
        nargs="*",
        help="names of runs or folders of models to write with; by default all models in saved_models/, or in the "
        "folder of --models",
    )
    add_flags(parser, ServingSettings, "server")
    add_switch(parser, "--browser", "also open the page in the browser")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    settings = settings_from(ServingSettings, arguments)
    if any(find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise MissingPartError(
            'The playground needs two more packages: pip install "wordgen[web]" (in a checkout: '
            "pip install -r requirements-web.txt)."
        )
    limit_threads(max(1, min(4, (os.cpu_count() or 1) // settings.at_once)))
    from wordgen.web.answers import ModelStore
    from wordgen.web.serving import address_of, listen, serve

    store = ModelStore(arguments.served)
    with listen(settings) as listening:
        token = settings.token or secrets.token_urlsafe(24)
        address = f"{address_of(listening)}?token={token}"
        if not is_loopback(settings.host):
            print_message(
                f"The playground listens on {settings.host or 'all addresses'}: anyone who can reach this machine and "
                "knows the token can use it. Without --host, only this machine can use it."
            )
        print_message(f"The playground is at {address} (Ctrl-C closes it).")
        if arguments.browser:
            import webbrowser

            webbrowser.open(address)
        serve(listening, store, settings, token)
    print_message("\nThe playground is closed. Goodbye!")
