"""GPUs: the request to Spark, and the torch device of a task."""

from typing import TYPE_CHECKING, Final

from pyspark import TaskContext

from xlrec.errors import EncoderError
from xlrec.runtime.machine import is_local

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile
    from pyspark.sql import SparkSession

#: Settings of Spark: GPUs of an executor, and of every task of every stage.
_EXECUTOR_GPUS: Final = "spark.executor.resource.gpu.amount"
_TASK_GPUS: Final = "spark.task.resource.gpu.amount"


def gpu_profile(spark: "SparkSession", device: str) -> "ResourceProfile | None":
    """A whole GPU for each task of one stage, as `mapInArrow` takes it; other stages keep all cores.

    None where no request is needed: the device is the CPU, the executors have no GPU, every task gets one anyway, or
    the master is local, which has no executors.
    """
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    conf = spark.sparkContext.getConf()
    executors_have = float(conf.get(_EXECUTOR_GPUS, "0") or 0) > 0
    if device == "cpu" or not executors_have or conf.contains(_TASK_GPUS) or is_local(str(spark.sparkContext.master)):
        return None
    # Of tasks alone: the executors are those that run already, with dynamic allocation or without.
    return ResourceProfileBuilder().require(TaskResourceRequests().resource("gpu", 1)).build


def task_device(device: str, key: str) -> str:
    """The GPU that Spark assigned to this task, else the CPU, unless the config's `key` fixes it.

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
