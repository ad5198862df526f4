"""The program for similar texts: an API of arrays, Spark blocks, and the command's run."""
