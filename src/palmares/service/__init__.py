"""The actions of the product, one file each. Doors call them; they see adapters only through their contracts."""
