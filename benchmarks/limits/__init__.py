"""Bare loops with no pool around them: what the same work costs at least.

Frames of a 4-byte length and a payload; the workers are `benchmarks.limits.child`.
"""
