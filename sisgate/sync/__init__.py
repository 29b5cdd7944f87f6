"""Syncs: how a dataset is cut into calls, and when it was read completely."""
