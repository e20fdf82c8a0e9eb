"""What a system can be made to follow."""
