"""A local Grand Challenge."""
