"""Scores of what a model says; nothing here imports anything of ours."""
