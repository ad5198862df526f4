"""Hosts on this machine: a Spark master, workers that see nothing of the driver's folders, and HDFS or an S3 API.

As root each worker has a network namespace with an address of its own and a mount namespace in which the driver's
folders are empty; elsewhere a user's mount namespace and addresses of 127.0.0.0/8, where the kernel grants that.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.request import urlopen

import pyspark
import pytest

from xlrec.runtime.session import delta_package

ROOT = Path(__file__).resolve().parents[3]
SPARK = Path(pyspark.__file__).parent
HADOOP = next((SPARK / "jars").glob("hadoop-client-api-*.jar")).stem.rpartition("-")[2]
BRIEF = "-XX:TieredStopAtLevel=1"
_HDFS = "org.apache.hadoop.hdfs.server"


class Hosts:
    """Processes of a cluster; they end with `close`."""

    def __init__(self, folder: Path) -> None:
        """Starts nothing yet but the network.

        Args:
            folder: Of logs and services; workers do not see it.
        """
        self.folder, self.processes = folder, list[subprocess.Popen[bytes]]()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.bridge = f"xl{os.getpid() % 100000}"
        self.namespaces: list[str] = []
        self.own_network = os.geteuid() == 0 and not self._quiet("ip", "link", "add", self.bridge, "type", "bridge")
        if self.own_network:
            self.network = f"10.97.{os.getpid() % 250}"
            self._run("ip", "addr", "add", f"{self.network}.1/24", "dev", self.bridge)
            self._run("ip", "link", "set", self.bridge, "up")
        elif self._quiet("unshare", "-Urm", "mount", "-t", "tmpfs", "none", str(folder)):
            pytest.skip("neither network namespaces nor a user's mount namespaces can be made here")
        else:
            self.network = "127.0.7"
        self.driver = f"{self.network}.1"
        self.master = f"spark://{self.driver}:{free_port(self.driver)}"

    def start_master(self) -> None:
        """The standalone master."""
        host, port = self.master.removeprefix("spark://").split(":")
        name = "org.apache.spark.deploy.master.Master"
        self.start("master", self._spark(name, "--host", host, "--port", port, "--webui-port", "0"), host)
        self.wait_for(lambda: reachable(host, int(port)), "the master")

    def start_worker(self, number: int, cores: int = 1, memory: str = "2g") -> str:
        """A worker of its own address; its name."""
        name, address = f"worker{number}", f"{self.network}.{number + 1}"
        command = self._spark(
            "org.apache.spark.deploy.worker.Worker", "--host", address, "--cores", str(cores), "--memory", memory,
            "--webui-port", "0", "--work-dir", f"/tmp/xlrec-{self.bridge}-{name}", self.master,
        )  # fmt: skip
        hidden = [str(self.folder), str(ROOT / "xlrec"), str(ROOT / "jobs")]
        script = "".join(f"mount -t tmpfs none '{one}'; " for one in hidden) + 'cd /tmp; exec "$@"'
        inside = ["unshare", "-m" if self.own_network else "-Urm", "bash", "-c", script, "bash", *command]
        if self.own_network:
            space = f"{self.bridge}n{number}"
            self.namespaces.append(space)
            self._run("ip", "netns", "add", space)
            self._run("ip", "link", "add", f"{space}a", "type", "veth", "peer", "name", "eth0", "netns", space)
            self._run("ip", "link", "set", f"{space}a", "master", self.bridge, "up")
            for one in (["addr", "add", f"{address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                        ["link", "set", "lo", "up"]):  # fmt: skip
                self._run("ip", "netns", "exec", space, "ip", *one)
            inside = ["ip", "netns", "exec", space, *inside]
        self.workers[name] = self.start(name, inside, address)
        return name

    def kill_worker(self, name: str) -> None:
        """As if the machine lost power."""
        space = f"{self.bridge}n{name.removeprefix('worker')}"
        if self.own_network:
            pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=True).stdout
            subprocess.run(["kill", "-9", *pids.split()], check=False)
        else:
            self.workers[name].kill()

    def start_hdfs(self) -> str:
        """A NameNode and a DataNode; the URL."""
        conf, port, page = self.folder / "hadoop", free_port(self.driver), free_port(self.driver)
        conf.mkdir()
        settings = {
            "fs.defaultFS": f"hdfs://{self.driver}:{port}", "dfs.replication": "1", "dfs.permissions.enabled": "false",
            "dfs.namenode.name.dir": f"{conf}/name", "dfs.datanode.data.dir": f"{conf}/data",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.namenode.http-address": f"{self.driver}:{page}",
            **{f"dfs.{name}": f"{self.driver}:0" for name in (
                "datanode.address", "datanode.http.address", "datanode.ipc.address",
            )},
        }  # fmt: skip
        rows = "".join(f"<property><name>{k}</name><value>{v}</value></property>" for k, v in settings.items())
        for name in ("core-site.xml", "hdfs-site.xml"):
            (conf / name).write_text(f"<configuration>{rows}</configuration>")
        jar = _jar(f"org.apache.hadoop:hadoop-client-minicluster:{HADOOP}")
        java = ["java", "-Xmx256m", BRIEF, "-cp", f"{conf}:{jar}:{SPARK / 'jars'}/*"]
        subprocess.run([*java, f"{_HDFS}.namenode.NameNode", "-format", "-force"], check=True, capture_output=True)
        self.start("namenode", [*java, f"{_HDFS}.namenode.NameNode"], self.driver)
        self.wait_for(lambda: reachable(self.driver, port), "the NameNode")
        self.start("datanode", [*java, f"{_HDFS}.datanode.DataNode"], self.driver)
        page_url = f"http://{self.driver}:{page}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
        self.wait_for(lambda: '"NumLiveDataNodes" : 1' in urlopen(page_url).read().decode(), "the DataNode")
        return settings["fs.defaultFS"]

    def submit(self, *arguments: str, conf: dict[str, str] | None = None, packages: Sequence[str] = ()) -> list[str]:
        """The command of spark-submit on this cluster; to be run in the environment of `environment`."""
        settings = {
            "spark.driver.host": self.driver, "spark.driver.bindAddress": self.driver, "spark.executor.cores": "1",
            "spark.executor.memory": "1g", "spark.driver.memory": "2g", "spark.executor.extraJavaOptions": BRIEF,
            # Of a few rows Spark compiles longer than it computes.
            "spark.sql.shuffle.partitions": "2", "spark.sql.adaptive.enabled": "false",
            "spark.databricks.delta.snapshotPartitions": "1", "spark.sql.codegen.wholeStage": "false",
            "spark.python.sql.dataFrameDebugging.enabled": "false",
        } | (conf or {})  # fmt: skip
        options = [one for name, value in settings.items() for one in ("--conf", f"{name}={value}")]
        jars = ",".join([delta_package(), *packages])
        return [_bin("spark-submit"), "--master", self.master, "--packages", jars, *options, *arguments]

    def run(
        self, command: Sequence[str], within: float = 900, output: Path | None = None, unset: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on the driver's host; its output goes through a file that others may read."""
        path, mine = output or self.folder / "run.out", environment(self.driver)
        for name in unset:
            mine.pop(name)
        with path.open("w") as log:
            done = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, timeout=within, check=False,
                env=mine, cwd=self.folder,
            )  # fmt: skip
        return subprocess.CompletedProcess(command, done.returncode, path.read_text(errors="replace"), "")

    def log(self, name: str) -> str:
        """Output of a process."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        """Ends all processes and removes what they left."""
        for space in self.namespaces:
            pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False).stdout
            subprocess.run(["kill", "-9", *pids.split()], check=False, capture_output=True)
        for process in self.processes:
            process.kill()
            process.wait()
        for space in self.namespaces:
            self._quiet("ip", "netns", "del", space)
        if self.own_network:
            self._quiet("ip", "link", "del", self.bridge)
        for left in Path("/tmp").glob(f"xlrec-{self.bridge}-*"):
            shutil.rmtree(left, ignore_errors=True)

    def _spark(self, name: str, *arguments: str) -> list[str]:
        return [str(SPARK / "bin" / "spark-class"), name, *arguments]

    def start(self, name: str, command: list[str], address: str) -> "subprocess.Popen[bytes]":
        """A process on a host; it ends with the cluster."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment(address), start_new_session=True
            )
        self.processes.append(process)
        return process

    def wait_for(self, there: Callable[[], bool], what: str, within: float = 60) -> None:
        """Returns once it is there."""
        end = time.monotonic() + within
        while not there():
            assert time.monotonic() < end, f"{what} did not start: {self.folder}"
            time.sleep(0.2)

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)

    def _quiet(self, *command: str) -> int:
        """The exit status, 127 where the command is not there."""
        try:
            return subprocess.run(command, check=False, capture_output=True).returncode
        except OSError:
            return 127


def environment(address: str) -> dict[str, str]:
    """Of a process on a host: nothing of this one's settings of Spark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK", "HADOOP"))}
    return kept | {
        "SPARK_HOME": str(SPARK), "SPARK_LOCAL_IP": address, "SPARK_LOCAL_HOSTNAME": address,
        "PYSPARK_PYTHON": sys.executable, "SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": BRIEF,
        "SPARK_SUBMIT_OPTS": BRIEF,
    }  # fmt: skip


def wheel(folder: Path) -> Path:
    """xlrec as it is shipped by --py-files."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-2000:]
    return next(folder.glob("xlrec-*.whl"))


def free_port(address: str) -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


def reachable(address: str, port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((address, port)) == 0


def _bin(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _jar(package: str) -> Path:
    """A jar that Ivy keeps, fetched where it is not here yet: Spark resolves it and starts nothing of it."""
    group, artefact, release = package.split(":")
    for _ in range(2):
        found = [
            path for ivy in Path.home().glob(".ivy2*") for path in ivy.glob(f"jars/{group}_{artefact}-{release}.jar")
        ]
        if found:
            return found[0]
        subprocess.run(
            [_bin("spark-submit"), "--packages", package, "--class", "no.such.Class", "spark-internal"],
            capture_output=True, check=False, env=environment("127.0.0.1"),
        )  # fmt: skip
    raise AssertionError(f"{package} cannot be fetched")
