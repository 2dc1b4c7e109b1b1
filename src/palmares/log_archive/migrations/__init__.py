"""How the tables of the kept log came to be, step by step; run when it is opened."""
