"""The k best inner products: exact and approximate, on the CPU and on a GPU."""
