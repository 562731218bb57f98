"""How this participant speaks: the generated stubs, the connection, and what an error means.

Nothing is generated ahead: the stubs come from the .proto files each time the participant starts.
"""

import importlib
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from grpc_tools import protoc

REASON_TRAILER = "federated-reason"
# A long layout with many settings makes a TrainTask larger than gRPC's usual 4 MiB.
LARGEST_MESSAGE = 8 << 20
TRY_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
# Without a reason these come from the network, from a proxy or from this side's own time limit.
CONNECTION_TROUBLE = TRY_AGAIN | {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}


@dataclass(frozen=True)
class Protocol:
    """The generated code of federated.v1."""

    model: object
    participation: object
    stub: type


def load_protocol(proto: Path) -> Protocol:
    """Generates the code from the .proto files below `proto` and imports it."""
    files = [f"federated/v1/{name}.proto" for name in ("model", "secure_aggregation", "participation")]
    include = importlib.import_module("grpc_tools").__path__[0] + "/_proto"
    with tempfile.TemporaryDirectory(prefix="federated-stubs-") as folder:
        options = [f"-I{proto}", f"-I{include}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
        if protoc.main(["protoc", *options, *files]) != 0:
            raise SystemExit(f"no code could be generated from the .proto files in {proto}")
        sys.path.insert(0, folder)
        try:
            model = importlib.import_module("federated.v1.model_pb2")
            participation = importlib.import_module("federated.v1.participation_pb2")
            services = importlib.import_module("federated.v1.participation_pb2_grpc")
        finally:
            sys.path.remove(folder)
    return Protocol(model, participation, services.ParticipationStub)


def connect(coordinator: str, ca: bytes, certificate: bytes, key: bytes) -> grpc.aio.Channel:
    """A connection to `https://HOST:PORT` that trusts `ca` alone and shows this site's certificate."""
    address = urlsplit(coordinator)
    if address.scheme != "https" or not address.hostname or not address.port:
        raise SystemExit(f"expected a coordinator such as https://host:8443, found {coordinator}")
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    options = [
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        ("grpc.initial_reconnect_backoff_ms", 500),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # Otherwise a new channel gets the dead connection of the one before.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.aio.secure_channel(f"{host}:{address.port}", credentials, options)


@dataclass(frozen=True)
class Problem:
    """What a failed call means: the coordinator's reason, empty when it gave none, and whether to try again."""

    reason: str
    message: str
    retry: bool

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> "Problem":
        trailers = {key: value for key, value in error.trailing_metadata() or ()}
        reason = str(trailers.get(REASON_TRAILER, ""))[:64]
        retry = error.code() in (TRY_AGAIN if reason else CONNECTION_TROUBLE)
        return cls(reason, error.details() or "", retry)

    def __str__(self) -> str:
        return f"{self.reason or 'no answer'}: {self.message}"


class Refused(Exception):
    """The coordinator said no, and saying the same again does not help."""

    def __init__(self, problem: Problem):
        super().__init__(str(problem))
        self.problem = problem


class Backoff:
    """Waiting times that double from half a second to 30 s, each shortened at random by up to half."""

    def __init__(self):
        self.next = 0.5

    def reset(self):
        self.next = 0.5

    def seconds(self) -> float:
        longest, self.next = self.next, min(2 * self.next, 30.0)
        return random.uniform(longest / 2, longest)
