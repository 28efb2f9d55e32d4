"""Model files and how to run them: the Python face of the C++ core, without torch or numpy."""

from halfbyte.engine.model_file import GraphInput, Layer, ModelFile, operators
from halfbyte.engine.session import Session, State
from halfbyte.engine.tensor import Tensor

__all__ = ["GraphInput", "Layer", "ModelFile", "Session", "State", "Tensor", "operators"]
