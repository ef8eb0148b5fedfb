"""Choices read off a string of bytes: much faster to draw than a tree of strategies, and it shrinks."""

from hypothesis import strategies as st


class Tape:
    """Bytes that are taken for choices, one each; behind their end every choice is the first."""

    def __init__(self, data):
        self._bytes = iter(data)

    def __repr__(self):
        return "Tape(…)"

    def below(self, limit):
        return next(self._bytes, 0) % limit

    def choose(self, options):
        return options[self.below(len(options))]

    def several(self, make, most):
        return [make() for _ in range(self.below(most + 1))]


def tapes(length):
    return (st.binary(max_size=length) | st.binary(min_size=length, max_size=length)).map(Tape)
