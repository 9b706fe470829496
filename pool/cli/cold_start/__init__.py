"""A cold start, from nothing to the first reply, step by step."""
