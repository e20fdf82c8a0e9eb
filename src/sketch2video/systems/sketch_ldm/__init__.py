"""The default system: text to sketch to video."""
