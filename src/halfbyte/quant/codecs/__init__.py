"""How codes are stored: the codecs by name. A new codec is a file here and its line in `CODECS`."""

from collections.abc import Mapping
from typing import Any

from halfbyte.quant.codecs import uniform
from halfbyte.quant.codecs.codec import Codec

CODECS: dict[str, Codec] = {codec.name: codec for codec in (*uniform.CODECS,)}


def codec_of(attributes: Mapping[str, Any]) -> Codec | None:
    """The codec of the weights of an ONNX node with these attributes; None if they name none.

    >>> codec_of({"weight_bits": 4, "activation_bits": 8}).name
    'uniform4'
    """
    for codec in CODECS.values():
        if codec.attributes.items() <= attributes.items():
            return codec
    return None
