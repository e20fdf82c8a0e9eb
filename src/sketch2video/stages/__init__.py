"""Functions of the stages of the graph and of the commands of the same names."""
