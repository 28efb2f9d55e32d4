"""The compiled core. What each function takes is said where it is bound, in csrc/python."""

from typing import Any

def __getattr__(name: str) -> Any: ...
