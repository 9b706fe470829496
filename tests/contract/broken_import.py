"""A bridge that cannot be imported."""

answer = 1 / 0
