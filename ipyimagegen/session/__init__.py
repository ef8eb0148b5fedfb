"""One session: plan requests, run them, wait for them and remember them."""
