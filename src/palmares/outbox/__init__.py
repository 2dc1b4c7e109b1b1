"""What webhooks are still to be told and what they were told, durable, and the way out to them."""
