"""The error family of xlrec: every failure that a user can meet, with its exit status.

A message names the fault, the allowed values and the remedy. `xlrec` and the jobs print it as one line on stderr and
exit with `status`; a traceback means a bug in xlrec.
"""

from typing import ClassVar


class XlrecError(Exception):
    """Base of all errors of xlrec, each with a message of one line."""

    code: ClassVar[str] = "XLREC"
    status: ClassVar[int] = 1


class ConfigError(XlrecError):
    """Wrong config file, override or command-line argument; the caller corrects it."""

    code = "CONFIG"
    status = 2


class InputError(XlrecError):
    """Missing input, other schema than stated, or too many bad rows; the owner of the input corrects it."""

    code = "INPUT"
    status = 3


class MachineError(XlrecError):
    """Unfit Java, Python, jars, permissions or memory of this machine; its administrator corrects them."""

    code = "ENVIRONMENT"
    status = 4


class LakeError(XlrecError):
    """Missing table of the lake, one of another layout, or one that changed during the run."""

    code = "LAKE"
    status = 5


class LeaseError(XlrecError):
    """Lake held by another run; wait for it, or unlock the lake."""

    code = "LEASE"
    status = 6


class AuditError(XlrecError):
    """New lists below a bar of `audit`; the live release stays."""

    code = "AUDIT"
    status = 7


class EncoderError(XlrecError):
    """Encoder that cannot be loaded, or whose vectors are not finite; the config's `embed` names it."""

    code = "ENCODER"
    status = 8
