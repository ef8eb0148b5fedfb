"""Images drawn from a scene: figures, landscapes, abstract compositions and styles."""
