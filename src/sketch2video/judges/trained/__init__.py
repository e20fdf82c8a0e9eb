"""The judge of videos that is trained for data with labels of their own."""
