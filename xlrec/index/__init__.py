"""The item index: items as memory-mapped arrays, what a model learnt of them, and the search over both."""
