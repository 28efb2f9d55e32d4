"""From a torch model to ONNX, and from ONNX to the deployed file."""
