"""What happened, kept for good, and who stands where now."""
