"""Commands of the command line; heavy packages are imported inside them."""
