"""Commands that keep failing are refused for a while."""
