"""Prompts read as scenes and edits."""
