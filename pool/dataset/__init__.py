"""Calls for all items of a dataset of any length."""
