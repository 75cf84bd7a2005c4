# SPDX-License-Identifier: Apache-2.0
"""An OTLP/gRPC backend on Debian's python3-grpcio, with stubs made of metrics_service.proto when it
is first needed. The accounts are those of receiver.Receiver; a rule returns a GrpcAnswer.
"""
import concurrent.futures
import dataclasses
import importlib
import os
import subprocess
import sys
import tempfile
import threading
import time

from . import wire
from .receiver import Answer, Receiver

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM_PYTHON = "/usr/bin/python3"


def use_system_python():
    """Goes on in the system's Python where this one has no grpcio and that one has."""
    try:
        importlib.import_module("grpc")
    except ImportError:
        asked = [SYSTEM_PYTHON, "-c", "import grpc, google.protobuf"]
        is_other = os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON)
        if is_other and os.path.exists(SYSTEM_PYTHON) \
                and subprocess.run(asked, capture_output=True, check=False).returncode == 0:
            os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, "-B", *sys.argv])


def stubs():
    """(the messages' module, the service's module), or None where a package is missing."""
    try:
        importlib.import_module("grpc")
        folder = tempfile.mkdtemp(prefix="weir-grpc-")
        subprocess.run(["protoc", f"--proto_path={HERE}", f"--python_out={folder}",
                        f"--grpc_python_out={folder}",
                        "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
                        "metrics_service.proto"], check=True, capture_output=True)
        sys.path.insert(0, folder)
        return (importlib.import_module("metrics_service_pb2"),
                importlib.import_module("metrics_service_pb2_grpc"))
    except (ImportError, OSError, subprocess.CalledProcessError):
        return None


def retry_info(seconds, nanos=0, code=8, text=""):
    """google.rpc.Status with a RetryInfo, as grpc-status-details-bin has it."""
    duration = wire.integer(1, seconds) + wire.integer(2, nanos)
    detail = wire.message(1, b"type.googleapis.com/google.rpc.RetryInfo") \
        + wire.message(2, wire.message(1, duration))
    other = wire.message(1, b"type.googleapis.com/google.rpc.DebugInfo") \
        + wire.message(2, b"x" * 99)
    return wire.integer(1, code) + wire.message(2, text) + wire.message(3, other) \
        + wire.message(3, detail)


@dataclasses.dataclass
class GrpcAnswer(Answer):
    """What the backend says: a code with its words and details, or a success, maybe in part."""
    code: int = 0
    text: str = ""
    details: bytes = b""
    rejected: int = 0

    @property
    def accepted(self):
        """Whether the exporter must take this for a success."""
        return self.code == 0


class GrpcReceiver(Receiver):
    """The backend. `options` are grpcio's for a server."""

    # pylint: disable-next=super-init-not-called,too-many-arguments
    def __init__(self, modules, rule=None, port=0, options=(), tls=None):
        self.messages, self.service = modules
        self.rule = rule or (lambda batch: None)
        self.batches, self.errors, self.active, self.peers = [], [], 0, set()
        self.changed = threading.Condition()
        self.options = (("grpc.so_reuseport", 0), *options)
        self.port, self.tls = port, tls
        self.start()

    def start(self):
        """Listens, on the same port as before if it was there before."""
        grpc = importlib.import_module("grpc")
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=self.options)
        self.service.add_MetricsServiceServicer_to_server(self, self.server)
        address = f"127.0.0.1:{self.port}"
        self.port = self.server.add_insecure_port(address) if self.tls is None \
            else self.server.add_secure_port(address, grpc.ssl_server_credentials([self.tls]))
        assert self.port != 0
        self.server.start()

    def stop(self, grace=None):
        """Ends it; `grace` seconds for what is under way, after a GOAWAY."""
        self.server.stop(grace).wait()

    def take(self, path, headers, body, size):
        """As a Receiver's, with answers of its own."""
        rule = self.rule
        self.rule = lambda batch: rule(batch) or GrpcAnswer()
        try:
            return super().take(path, headers, body, size)
        finally:
            self.rule = rule

    def Export(self, request, context):  # pylint: disable=invalid-name
        """The service's one method."""
        grpc = importlib.import_module("grpc")
        codes = {code.value[0]: code for code in grpc.StatusCode}
        headers = {key: value for key, value in context.invocation_metadata()}
        body = request.SerializeToString()
        with self.changed:
            self.peers.add(context.peer())
        try:
            answer = self.take("Export", headers | {"timeout": context.time_remaining()}, body,
                               len(body))
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
            raise
        if answer.delay:
            time.sleep(answer.delay)
        if answer.code != 0:
            if answer.details:
                context.set_trailing_metadata((("grpc-status-details-bin", answer.details),))
            context.abort(codes[answer.code], answer.text)
        response = self.messages.ExportMetricsServiceResponse()
        if answer.rejected or answer.text:
            response.partial_success.rejected_data_points = answer.rejected
            response.partial_success.error_message = answer.text
        return response
