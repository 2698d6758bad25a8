"""What the API does not do, said in a sentence and with the status that HTTP has for it."""

from wordgen.errors import WordgenError


class RefusedError(WordgenError):
    """A request that is not answered as it was meant."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after


def status_of(error: WordgenError) -> int:
    return error.status if isinstance(error, RefusedError) else 422


def answer_of(error: WordgenError) -> tuple[int, dict[str, str], dict[str, str]]:
    """Status, content and headers."""
    retry_after = error.retry_after if isinstance(error, RefusedError) else None
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return status_of(error), {"error": str(error)}, headers
