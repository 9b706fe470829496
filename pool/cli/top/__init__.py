"""The live view of a pool: readings of it, what changed between them, and a frame of that."""
