"""How the catalog's tables came to be, step by step; run when a catalog is opened."""
