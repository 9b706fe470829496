"""Mutation testing: breaks the pure modules one small way at a time and runs their tests.

`python -m tests.mutation [FILE ...]`. `[tool.mutants]` in pyproject.toml says which tests
judge which file. A driver of its own, with mutmut's operators: `mutmut run` changes nothing
outside of undecorated functions, so neither properties nor tables, defaults and constants, and
it removes no statements and no conditions; that is where many of the rules here are written.
"""
