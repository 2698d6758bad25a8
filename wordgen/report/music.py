"""What report.html has for a run of music: its samples as music, and scripts that draw and play them."""

import base64
import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

from wordgen.errors import WordgenError
from wordgen.text.tokenizers import OF_MUSIC

_STATIC = Path(__file__).parent / "static"
_ABCJS, _LICENCE, _PLAYER = "abcjs-basic-min.js", "abcjs-basic-min.js.LICENSE", "music.js"
PAGE_FILES = _STATIC / _PLAYER, _STATIC / "music.css"
"""The player, and how it looks. The playground serves them, too."""
STYLE_OF_ABCJS = (
    ".abcjs-dragging-in-progress text, .abcjs-dragging-in-progress tspan {-webkit-touch-callout: none; "
    "-webkit-user-select: none; -khtml-user-select: none; -moz-user-select: none; -ms-user-select: none; "
    "user-select: none;}"
)
"""The style sheet that abcjs puts into each score."""
_BEGIN = "\nshowAll();\n"


@dataclass(frozen=True)
class Scripts:
    """The scripts of a page with music."""

    abcjs: Markup
    player: Markup
    policy: str
    """The policy for the browser: it runs these two scripts and no others, and uses no network."""


@cache
def scripts() -> Scripts:
    abcjs, player = _read(_LICENCE) + _read(_ABCJS), _read(_PLAYER) + _BEGIN
    allowed = " ".join(map(source_of, (abcjs, player)))
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"
    return Scripts(Markup(abcjs), Markup(player), policy)


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def source_of(content: str) -> str:
    """Return how a policy names a script or a style sheet within a page: by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def sample_of_music(text: str, tokenizer: str) -> dict[str, object]:
    """Return the music of a text, or a sentence that says why it has none. Both are None if the model writes text."""
    if tokenizer not in OF_MUSIC:
        return {"music": None, "no_music": None}
    from wordgen.music.abc_writing import music_in

    try:
        music = music_in(text, tokenizer)
    except WordgenError as error:
        return {"music": None, "no_music": str(error)}
    if not music.notes:
        return {"music": None, "no_music": "This text has no note."}
    return {"music": asdict(music), "no_music": None}
