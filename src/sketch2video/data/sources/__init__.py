"""Where captioned videos come from: CSV files and data sets as they are published."""
