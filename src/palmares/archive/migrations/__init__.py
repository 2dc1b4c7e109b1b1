"""How the archive's tables came to be, step by step; run when an archive is opened."""
