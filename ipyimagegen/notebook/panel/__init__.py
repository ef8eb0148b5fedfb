"""The panel: a widget with a form, the images of the session, and requests."""
