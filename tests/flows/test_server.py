"""Servers: one's own binds its port before it starts, a configured one is asked as Prefect's own client does."""

from __future__ import annotations

import http.server
import threading
from types import SimpleNamespace

import httpx
import pytest
from prefect.context import refresh_global_settings_context

from daily_forecast_flows.command import main
from daily_forecast_flows.launch import run_flow
from daily_forecast_flows.options import Options
from daily_forecast_flows.server import NoServerError, require_server, starting_server
from daily_forecast_flows.tasks import listener
from forecasting.store.store import Store


class Foreign(http.server.BaseHTTPRequestHandler):
    """Answers that it is healthy to whoever has the password, and keeps what it was asked."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        wanted = self.server.wanted
        self.send_response(200 if wanted is None or self.headers.get("Authorization") == wanted else 401)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"true")

    do_POST = do_GET  # noqa: N815 - the name is the base class's

    def log_message(self, *_):
        pass


@pytest.fixture
def foreign():
    """Somebody else's server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    server.asked, server.wanted = [], None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def configured(foreign, monkeypatch):
    """The foreign server, as the one that is configured."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{foreign.server_port}/api")
    refresh_global_settings_context()
    yield foreign
    monkeypatch.undo()
    refresh_global_settings_context()


def test_a_taken_port_is_refused_and_who_has_it_is_left_alone(foreign, tmp_path, capsys):
    with pytest.raises(NoServerError, match=f"port {foreign.server_port} .* name another with --port"):
        starting_server(port=foreign.server_port).__enter__()
    assert main(["ui", "--port", str(foreign.server_port), "--home", str(tmp_path)]) == 1
    assert "--port" in capsys.readouterr().err
    assert foreign.asked == []


def test_a_configured_server_that_answers_is_taken(configured):
    require_server()
    assert configured.asked[0][0] == "/api/health"


def test_a_login_is_sent_and_one_that_is_missing_is_said(configured, monkeypatch):
    configured.wanted = "Basic YWRtaW46c2VjcmV0"
    with pytest.raises(NoServerError, match="set PREFECT_API_KEY or PREFECT_API_AUTH_STRING"):
        require_server()
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
    refresh_global_settings_context()
    require_server()


@pytest.mark.usefixtures("configured")
def test_a_server_that_is_lost_is_said_and_what_is_published(tmp_path, capsys, monkeypatch):
    def lost(**_):
        raise httpx.ConnectError("connection refused")

    monkeypatch.setattr("daily_forecast.daily_forecast", lost)
    Store(tmp_path / "store")
    assert run_flow("daily_forecast:daily_forecast", Options(output=str(tmp_path / "store"))) == 1
    said = capsys.readouterr().err
    assert "the Prefect server was lost: ConnectError: connection refused; the newest date published in" in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(("partial", "status"), [(False, 0), (True, 3)])
def test_what_was_published_before_the_server_was_lost_counts(tmp_path, capsys, monkeypatch, partial, status):
    def lost(**_):
        listener.get()(SimpleNamespace(message="The forecasts are published", partial=partial))
        raise httpx.ConnectError("connection refused")

    monkeypatch.setattr("daily_forecast.daily_forecast", lost)
    assert run_flow("daily_forecast:daily_forecast", Options(output=str(tmp_path / "store"))) == status
    said = capsys.readouterr()
    assert said.out == "The forecasts are published\n"
    assert said.err == "the Prefect server was lost: ConnectError: connection refused\n"
