"""The fixture that calls verbs in this process."""

from cli.conftest import halfbyte as halfbyte
