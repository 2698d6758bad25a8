"""Text for a terminal: everything that is printed goes through here.

Names, corpora and vocabularies may hold anything, and a terminal obeys control sequences: it would move the cursor,
write over lines, set its title, or show a sentence from right to left.
"""

_CONTROLS = {*range(0x20), *range(0x7F, 0xA0)} - {ord("\n"), ord("\t")}
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""They turn the direction of what follows; marks for a single place, and joiners, which some scripts need, do not."""
_PLAIN = dict.fromkeys(_CONTROLS | _TURNING, "?")


def plain(text: str) -> str:
    """With a question mark for each control character; line breaks and tabs stay."""
    return text.translate(_PLAIN)
