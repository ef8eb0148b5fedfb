"""A session: plan requests, run them, wait for them and record them."""
