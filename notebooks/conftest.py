"""Notebooks are run on a store of their own, without keys."""

import os
import tempfile

for _name in list(os.environ):
    if _name.startswith(("IPYIMAGEGEN_", "OPENAI_")) or _name.endswith("_API_KEY"):
        del os.environ[_name]
os.environ["IPYIMAGEGEN_HOME"] = tempfile.mkdtemp(prefix="ipyimagegen-")
