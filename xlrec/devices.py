"""The torch device of a Spark task."""

from pyspark import TaskContext

from xlrec.errors import EncoderError


def task_device(device: str, key: str) -> str:
    """The GPU that Spark assigned to this task, else the CPU, unless the config fixes it.

    Args:
        device: auto, cpu or cuda.
        key: of the config, for messages.

    Raises:
        EncoderError: Spark assigned a GPU that torch does not see; the cluster's administrator mends it.
    """
    if device == "cpu":
        return "cpu"
    context = TaskContext.get()
    assigned = context.resources().get("gpu") if context is not None else None
    if assigned is None:
        return "cuda" if device == "cuda" else "cpu"
    import torch

    seen = torch.cuda.device_count()
    if seen == 0:
        raise EncoderError(
            f"{key}: Spark assigned GPU {assigned.addresses[0]}, but torch sees none on this worker: mend its driver, "
            f"or set {key} to cpu"
        )
    address = assigned.addresses[0]
    # A container or CUDA_VISIBLE_DEVICES may show the task its own GPU alone, which then is number 0.
    return f"cuda:{address}" if address.isdigit() and int(address) < seen else "cuda:0"
