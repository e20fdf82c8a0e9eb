"""What a stage of the graph, or a command of the same name, does: a part, a pipeline, a report, a version, videos."""
