"""Families: kinds of models that a user can train, ship and run; one folder each."""
