"""The pool for code without asyncio, from any thread."""
