"""The error family of xlrec: every failure a user can meet, with its exit status.

A message says what was seen, what is allowed and what to do. `xlrec` and the jobs print it as one line on stderr and
exit with `status`; a traceback means a bug in xlrec.
"""

from typing import ClassVar


class XlrecError(Exception):
    """Anything that xlrec refuses, said in one line."""

    code: ClassVar[str] = "XLREC"
    status: ClassVar[int] = 1


class ConfigError(XlrecError):
    """The config file, an override or a command-line argument is wrong; the caller mends it."""

    code = "CONFIG"
    status = 2


class InputError(XlrecError):
    """An input table is missing, has another schema than stated, or holds too many bad rows; its owner mends it."""

    code = "INPUT"
    status = 3


class MachineError(XlrecError):
    """Java, Python, jars, permissions or memory of this machine do not suffice; its administrator mends them."""

    code = "ENVIRONMENT"
    status = 4


class LakeError(XlrecError):
    """A table of the lake is missing, belongs to another layout, or changed underneath the run."""

    code = "LAKE"
    status = 5


class LeaseError(XlrecError):
    """Another run holds the lake; wait for it, or name it as dead."""

    code = "LEASE"
    status = 6


class AuditError(XlrecError):
    """The new lists missed a bar of `audit`; the live release stays as it is."""

    code = "AUDIT"
    status = 7


class EncoderError(XlrecError):
    """An encoder cannot be loaded or gave vectors that are not finite; the config's `embed` names it."""

    code = "ENCODER"
    status = 8
