"""How the outbox's tables came to be, step by step; run when an outbox is opened."""
