"""Folders that somebody else has put where ours belongs."""

import os
import stat

import pytest

OTHER = 65534  # the user `nobody` of most systems
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root gives files away")


def linked(folder, documents):
    """Make a link to a folder of documents."""
    folder.symlink_to(documents, target_is_directory=True)


def open_to_others(folder, _):
    """Make a folder into which everybody can write."""
    folder.mkdir()
    folder.chmod(0o777)


def of_another_user(folder, _):
    """Make a folder of another user."""
    folder.mkdir(mode=stat.S_IRWXU)
    os.chown(folder, OTHER, OTHER)


PREPARED = [linked, open_to_others, pytest.param(of_another_user, marks=needs_root)]
