"""A stand-in for an installed vLLM: an environment folder with a `vllm` command.

The command answers /health, shows its arguments and environment at /seen, and starts a child that
ignores every polite signal, as an engine that hangs would. The model's name says how it behaves.
"""

import sys

_COMMAND = """#!{python}
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

arguments = sys.argv[1:]
if "broken" in arguments:
    print("OutOfMemoryError: too large for this device" + 30 * "\\n  File x", flush=True)
    print("ValueError: not a model, it says", flush=True)
    sys.exit(3)
if "hanging" in arguments:
    print("still loading", flush=True)
    time.sleep(600)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if "exit" in self.path:
            os._exit(9)
        seen = {{"arguments": arguments, "environment": dict(os.environ), "pid": os.getpid(),
                "child": child.pid}}
        self.send_response(200 if self.path in ("/health", "/seen") else 404)
        self.end_headers()
        self.wfile.write(json.dumps(seen).encode())
    def log_message(self, *_):
        pass

port = int(arguments[arguments.index("--port") + 1])
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def install(folder, package="vllm-0.33.1+cpu"):
    """Make an environment with ``package`` in ``folder``; return its `vllm` command."""
    (folder / "bin").mkdir(parents=True)
    (folder / f"lib/python3.12/site-packages/{package}.dist-info").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    command = folder / "bin" / "vllm"
    command.write_text(_COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    return command
