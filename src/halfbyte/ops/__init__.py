"""Operators of the domain `halfbyte`, one a file: see operator.py."""
