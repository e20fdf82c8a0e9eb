"""Generation of videos from prompts files: prompts -> requests -> files."""
