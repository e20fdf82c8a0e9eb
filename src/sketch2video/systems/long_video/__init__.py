"""Long, steady videos by the sketch system's parts."""
