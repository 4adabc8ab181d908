"""A stand-in for OtiumWork: a Flask app under gunicorn that identifies people by the headers it receives.

It has what a real app has: public and protected pages, a form with an upload, downloads with ranges, server-sent
events, a WebSocket, a session cookie, and an API for the desktop client with its own token.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from flask import Flask, Response, abort, jsonify, render_template, request, send_file, session
from flask_sock import Server, Sock
from werkzeug.wrappers import Response as AnyResponse

from gateway.demo import DESKTOP_TOKEN

HERE = Path(__file__).parent
REPORT = "week,project,hours\n" + "".join(f"{week},Acme rollout,{30 + week % 9}\n" for week in range(1, 53))
IDENTITY = ("remote-", "x-remote-", "x-otium-", "x-forwarded-", "forwarded", "x-real-ip", "x-request-id")


def create_app() -> Flask:
    """Return the app; gunicorn calls this."""
    app = Flask(__name__, template_folder=str(HERE / "pages"), static_folder=str(HERE / "static"))
    app.secret_key = "only for the demo"
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024 * 1024
    add_pages(app)
    add_timesheets(app)
    add_live(app, Sock(app))
    add_interfaces(app)
    return app


def add_pages(app: Flask) -> None:
    @app.context_processor
    def person() -> dict[str, object]:
        return {
            "name": unquote(request.headers.get("Remote-Name", "")),
            "role": request.headers.get("X-Otium-Role", ""),
        }

    @app.get("/")
    def home() -> str:
        return render_template("home.html")

    @app.get("/help")
    def help_page() -> str:
        return render_template("plain.html", title="Help", text="Everybody may read this, signed in or not.")

    @app.get("/robots.txt")
    def robots() -> Response:
        return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")

    @app.get("/team")
    def team() -> str:
        return render_template("plain.html", title="Team", text="Managers and admins see this.")

    @app.get("/company")
    def company() -> str:
        return render_template("plain.html", title="Company", text="Admins of the company see this.")

    @app.get("/platform")
    def platform() -> str:
        return render_template("plain.html", title="Platform", text="Only the platform's owner sees this.")


def add_timesheets(app: Flask) -> None:
    """A form with an upload, and downloads."""

    @app.route("/timesheets", methods=["GET", "POST"])
    def timesheets() -> str:
        session["visits"] = session.get("visits", 0) + 1
        received = None
        if request.method == "POST":
            receipt = request.files.get("receipt")
            content = receipt.read() if receipt else b""
            received = {
                "project": request.form.get("project", ""),
                "hours": request.form.get("hours", ""),
                "file": (receipt.filename if receipt else "") or "no file",
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        return render_template("timesheets.html", visits=session["visits"], received=received)

    @app.get("/timesheets/report.csv")
    def report() -> AnyResponse:
        return send_file(io.BytesIO(REPORT.encode()), "text/csv", True, "report.csv", etag="report-1", conditional=True)

    @app.get("/timesheets/archive.bin")
    def archive() -> Response:
        size = max(0, min(request.args.get("size", 1_000_000, int), 1_000_000_000))

        def blocks() -> Iterator[bytes]:
            for start in range(0, size, 65_536):
                yield b"\0" * min(65_536, size - start)

        return Response(blocks(), mimetype="application/octet-stream", headers={"Content-Length": str(size)})


def add_live(app: Flask, sock: Sock) -> None:
    """Server-sent events, and a WebSocket."""

    @app.get("/live")
    def live() -> str:
        return render_template("live.html")

    @app.get("/live/stream")
    def stream() -> Response:
        who = request.headers.get("Remote-Email", "nobody")

        def ticks() -> Iterator[str]:
            for number in range(3_600):
                yield f"data: {json.dumps({'tick': number, 'who': who})}\n\n"
                time.sleep(1)

        return Response(ticks(), mimetype="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.get("/chat")
    def chat() -> str:
        return render_template("chat.html")

    @sock.route("/chat/socket")  # type: ignore[untyped-decorator]
    def chat_socket(socket: Server) -> None:
        who = request.headers.get("Remote-Email", "nobody")
        socket.send(f"Hello {who}")
        while True:
            socket.send(f"{who}: {socket.receive()}")


def add_interfaces(app: Flask) -> None:
    """The identity that the app receives, and APIs for programs."""

    @app.get("/whoami")
    def whoami() -> str | Response:
        if request.accept_mimetypes.best == "application/json":
            return whoami_json()
        return render_template("whoami.html", told=list_identity())

    @app.get("/whoami.json")
    def whoami_json() -> Response:
        return jsonify(list_identity())

    @app.get("/api/desktop/status")
    def desktop() -> Response:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {DESKTOP_TOKEN}".encode()):
            abort(401)
        return jsonify(status="in sync", told=[key for key, _ in request.headers if key.lower().startswith("remote-")])

    @app.post("/webhooks/payment")
    def payment() -> Response:
        return jsonify(received=len(request.get_data()))


def list_identity() -> list[tuple[str, str]]:
    """Return the headers on the person's identity and origin. WSGI joins repeated ones with a comma."""
    return [(name, value) for name, value in request.headers if name.lower().startswith(IDENTITY)]
