"""Pages of the service for browsers, rendered on the server; scripts only add to them."""
