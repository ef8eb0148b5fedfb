"""The store of runs and images: files are the truth, an index finds them.

    HOME/images/ab/<sha256>.<ext>      bytes as received, each content once
    HOME/quarantine/<sha256>.bin       bytes that are not a known image
    HOME/records/<session>/<n>.json    a run
    HOME/spool/                        files that are not yet whole
    HOME/unindexed/                    names of records that the index may lack
    HOME/index.sqlite                  search and look-up; safe to delete

What a full disk refuses is kept among the system's temporary files until it can be stored (`find_fallback`).

No handle outlives a call, so any number of processes and threads share a home, a fork inherits nothing,
and a store can be pickled.
"""

from ipyimagegen.store.blobs import StoredBlob
from ipyimagegen.store.files import Disk
from ipyimagegen.store.index import Charge, Entry, Query
from ipyimagegen.store.store import Deletion, Store

__all__ = ["Charge", "Deletion", "Disk", "Entry", "Query", "Store", "StoredBlob"]
