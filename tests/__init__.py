"""Tests of gcapi, its generated layer and its sandbox."""
