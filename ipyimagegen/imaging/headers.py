"""The bound on the size of an image that is decoded."""

MEGAPIXELS = 40  # more than this is kept, and never decoded
