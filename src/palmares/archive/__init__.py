"""The archive: final runs and the ends of days, durable, for as long as somebody may ask for them."""
