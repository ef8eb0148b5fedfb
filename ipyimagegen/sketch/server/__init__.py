"""The engine as a server of the OpenAI Images API."""
