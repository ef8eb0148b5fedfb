"""ipyimagegen."""
