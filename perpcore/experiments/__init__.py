"""Configurations, their results, and how one becomes the other."""
