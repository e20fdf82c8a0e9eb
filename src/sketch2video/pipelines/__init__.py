"""What pipelines of several systems share."""
