"""Who wants to know how far an evaluation is."""


class Watcher:
    """Told how far an evaluation is; override what you care about."""

    def fetching(self, file: str, done: int, total: int) -> None:
        """So many bytes of a file of the corpus are here."""

    def reading(self, name: str, done: int, size: int) -> None:
        """So many bytes of a text are cut into symbols."""

    def predicting(self, done: int, symbols: int) -> None:
        """The model has predicted so many symbols."""

    def trying(self, done: int, symbols: int) -> None:
        """How it gets used to a text best is being tried out; so many symbols of this try are predicted."""

    def adapting(self, done: int, symbols: int) -> None:
        """The model, getting used to the text, has predicted so many symbols."""

    def counting(self, symbols: int, order: int) -> None:
        """The n-grams of the training text, which has so many symbols, are counted next, with n up to this."""

    def weighing(self, done: int, symbols: int) -> None:
        """The model has predicted so many tokens of the valid part, which sets the weight of the n-grams."""

    def writing(self, done: int, symbols: int) -> None:
        """The model has written so many symbols of its samples."""

    def searching(self, symbols: int) -> None:
        """What it wrote is looked for next in the training text, which has so many symbols."""
