"""The commands of the command line. Heavy imports wait inside them."""
