"""Sources of captioned videos: CSV files and published data sets."""
