"""Every error that halfbyte raises on purpose.

HalfbyteError
├── AudioError        audio that is missing, empty, damaged or of a kind we cannot read
├── ModelFileError    a .hb file that is missing, damaged, of another version, or cannot be run
├── ConfigError       an unknown or ill-typed key in a configuration
├── ManifestError     a manifest with a bad line
├── InputError        a value that an operator refuses: a wrong shape, NaN or infinity
└── UsageError        a setting or argument out of its range

Messages are one line: what came, what was expected, what to do.
"""


class HalfbyteError(Exception):
    """Root of all errors raised on purpose."""


class AudioError(HalfbyteError):
    """Audio that is missing, empty, damaged or of a kind we cannot read."""


class ModelFileError(HalfbyteError):
    """A .hb file that is missing, damaged, of another version, or cannot be run."""


class ConfigError(HalfbyteError):
    """An unknown or ill-typed key in a configuration."""


class ManifestError(HalfbyteError):
    """A manifest with a bad line."""


class InputError(HalfbyteError):
    """A value that an operator refuses: a wrong shape, NaN or infinity."""


class UsageError(HalfbyteError):
    """A setting or argument out of its range."""


def how_to_install(extra: str) -> str:
    """What to type for the packages of an extra, as the end of a message.

    >>> how_to_install("serve")
    "in a checkout type: pip install '.[serve]', elsewhere: pip install 'halfbyte[serve]'"
    """
    return (
        f"in a checkout type: pip install '.[{extra}]', elsewhere: pip install 'halfbyte[{extra}]'"
    )
