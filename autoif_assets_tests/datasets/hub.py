"""As much of a Hugging Face hub as `autoif push` and `pull` ask for, with one dataset."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_ofTheTest"


class Hub:
    """What the hub holds: commits, the newest last, each the files of then; and tags."""

    def __init__(self):
        self.repo, self.private = None, False
        self.commits, self.tags = {}, {}
        self.refuse = None
        self.asked = []

    def found(self, revision):
        name = unquote(revision)
        commit = list(self.commits)[-1] if name == "main" else self.tags.get(name, name)
        return (commit, self.commits[commit]) if commit in self.commits else (None, None)

    def commit(self, files):
        digest = hashlib.sha1(repr(sorted(files.items())).encode() + bytes(len(self.commits)))
        self.commits[digest.hexdigest()] = files
        return digest.hexdigest()


class _Answer(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *arguments):
        pass

    def send(self, body, code=200, head=(), sent=True):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": len(data), **dict(head)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if sent:
            self.wfile.write(data)

    def wrong(self, code, kind=None):
        head = {"X-Error-Code": kind} if kind else {}
        self.send({"error": f"refused {self.headers.get('Authorization')}"}, code, head)

    def parts(self):
        path = urlsplit(self.path).path
        self.hub.asked.append((self.command, path))
        name = f"datasets/{self.hub.repo}"
        known = path.removeprefix("/api").startswith(f"/{name}") and self.hub.repo
        after = path.removeprefix("/api").removeprefix(f"/{name}").strip("/")
        return path, known, after.split("/") if after else []

    def do_POST(self):
        path, known, after = self.parts()
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub = self.hub
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.wrong(401)
        elif hub.refuse is not None and hub.refuse in path:
            self.wrong(403)
        elif path == "/api/repos/create":
            said = json.loads(data)
            name = f"{said['organization']}/{said['name']}"
            if hub.repo == name:
                return self.send({"url": f"http://{self.headers['Host']}/datasets/{name}"}, 409)
            hub.repo, hub.private = name, said.get("visibility") == "private"
            hub.commit({})
            self.send({"url": f"http://{self.headers['Host']}/datasets/{name}", "id": "1"})
        elif path == "/api/validate-yaml":
            self.send({"errors": [], "warnings": []})
        elif known and after[0] == "preupload":
            asked = [file["path"] for file in json.loads(data)["files"]]
            files = hub.found("main")[1]
            self.send({"files": [told(files, path) for path in asked]})
        elif known and after[0] == "commit":
            files = dict(hub.found("main")[1])
            for line in map(json.loads, data.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "deletedFile":
                    del files[value["path"]]
            oid = hub.commit(files)
            place = f"http://{self.headers['Host']}/datasets/{hub.repo}"
            self.send({"commitUrl": f"{place}/commit/{oid}", "commitOid": oid})
        elif known and after[0] == "tag":
            hub.tags[json.loads(data)["tag"]] = hub.found(after[1])[0]
            self.send({})
        else:
            self.wrong(404)

    def do_GET(self):
        _, known, after = self.parts()
        hub, allowed = self.hub, self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if not known or (hub.private and not allowed):
            return self.wrong(401, "RepoNotFound")
        if after[:1] == ["refs"]:
            refs = [
                {"name": name, "ref": f"refs/tags/{name}", "targetCommit": commit}
                for name, commit in hub.tags.items()
            ]
            return self.send({"branches": [], "converts": [], "tags": refs})
        revision = after[1] if len(after) > 1 else "main"
        commit, files = hub.found(revision)
        if commit is None:
            self.wrong(404, "RevisionNotFound")
        elif after[:1] == ["resolve"]:
            data = files["/".join(map(unquote, after[2:]))]
            head = {"ETag": f'"{blob(data)}"', "X-Repo-Commit": commit}
            self.send(data, head=head, sent=self.command == "GET")
        elif after[:1] == ["tree"]:
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": blob(data)}
                for name, data in files.items()
            ]
            self.send(tree)
        else:
            names = [{"rfilename": name} for name in files]
            told = {"id": hub.repo, "private": hub.private, "sha": commit, "siblings": names}
            self.send(told)

    do_HEAD = do_GET


def blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def told(files, path):
    oid = blob(files[path]) if path in files else None
    return {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": oid}


@contextmanager
def serving():
    """Give a hub that is served, and its address."""
    hub = Hub()
    handler = type("Answer", (_Answer,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield hub, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
