"""Beam's services for workers on this machine, where nobody but this user's processes can reach them.

Beam's own server listens on every interface of the machine and asks nobody who they are: its data are
elements in Python's own formats, and its artifact service sends any file that the job may read. This one
listens on a socket in a folder of this user alone, and has no services but those that our workers use. gRPC
sends nothing for such a socket through a proxy either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc as api
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    DATA_BUFFER_TIME_LIMIT_MS,
    BeamFnControlServicer,
    GrpcStateServicer,
)
from apache_beam.runners.worker.data_plane import BeamFnDataServicer
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Workers ask every 20 s whether the server is there, also when there is nothing to say.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.max_ping_strikes", 0),
)
_END_S = 5.0


class Services:
    """Stands in for Beam's `GrpcServer`: control, data and state of one pipeline, on one socket.

    Args:
        socket: names a socket that only this user can reach.
        state: Beam's, of the pipeline.
        provision_info: for workers that have to ask what they are; ours know.
        manager: Beam's, of the pipeline's workers.
    """

    def __init__(self, socket: Callable[[], str], state: Any, provision_info: Any, manager: Any) -> None:
        self.control_handler = BeamFnControlServicer(manager)
        self.data_plane_handler = BeamFnDataServicer(DATA_BUFFER_TIME_LIMIT_MS)
        self._server = grpc.server(shared_unbounded_instance(), options=_OPTIONS)
        api.add_BeamFnControlServicer_to_server(self.control_handler, self._server)
        api.add_BeamFnDataServicer_to_server(self.data_plane_handler, self._server)
        api.add_BeamFnStateServicer_to_server(GrpcStateServicer(state), self._server)
        self.control_port = self.data_port = self.state_port = self.logging_port = f"unix:{socket()}"
        self._server.add_insecure_port(self.control_port)
        self._server.start()

    def close(self) -> None:
        """Ends the services once what is under way is done."""
        self.control_handler.done()
        self._server.stop(_END_S).wait()
