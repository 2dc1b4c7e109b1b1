"""Real data to try the server with; the command line imports it, the server never does."""
