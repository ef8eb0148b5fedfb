"""Rule-based edits of an existing image."""
