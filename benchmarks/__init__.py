"""Measurements, side by side with other pools: see RESULTS.md for figures and how to get them."""
