"""Models of texts in Spark's Python workers, which must be those that the driver named."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from pyspark import TaskContext

from xlrec.errors import EncoderError
from xlrec.runtime.files import is_shared, local_path


class _Fingerprinted(Protocol):
    @property
    def fingerprint(self) -> str: ...


Model = TypeVar("Model", bound=_Fingerprinted)


def load_on_worker(
    load: Callable[[str | None, int | None, bool], Model], place: str | None, fingerprint: str | None, key: str
) -> Model:
    """Model of this worker process; one whose files the driver sent needs no check.

    Args:
        load: the model, from its folder on this machine, threads, and whether nothing may be downloaded.
        place: the model's folder as the driver names it; None: the config's name is enough.
        fingerprint: the driver's; None: any will do.
        key: of the config that names the model, for messages.

    Raises:
        EncoderError: the model is missing, or is not the driver's.
    """
    context = TaskContext.get()
    sent = place is not None and is_shared(place)
    folder = None if place is None else local_path(place)
    model = load(folder, None if context is None else context.cpus(), context is not None)
    if fingerprint is not None and not sent and model.fingerprint != fingerprint:
        raise EncoderError(
            f"{key}: this worker's model is {model.fingerprint}, the driver's is {fingerprint}: put the same model "
            "(and Python) on every machine"
        )
    return model
