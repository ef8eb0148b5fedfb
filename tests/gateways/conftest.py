"""What the tests of edits share."""

import pytest
from edit_local_documents import EDITS
from strict import strict
from typed_edits import begin


@pytest.fixture
def start(kernel, serve, tmp_path):
    """Return a function that serves an example's documents and makes them the notebook's endpoint."""

    def start(example, answer=None):
        server = serve(answer or strict(*EDITS[example.at]))
        begin(kernel, server, example, tmp_path)
        return server

    return start
