"""Drawing of prepared figures with matplotlib's object interface: no window, no global state."""
