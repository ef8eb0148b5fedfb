"""The notebook: magics, settings, completion and display. The only home of IPython and widgets."""
