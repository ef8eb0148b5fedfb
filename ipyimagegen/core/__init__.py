"""Values and rules without I/O: options, requests, runs, endpoints, plans, text, errors."""
