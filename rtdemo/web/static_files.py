"""The page's scripts, styles and icon, in memory, and the URLs at which they are."""

from __future__ import annotations

from pathlib import Path

from aiohttp import hdrs, web

from rtdemo.web.cross_origin import EVERY_ORIGIN
from rtdemo.web.joined_files import join_library, join_modules, join_stylesheets
from rtdemo.web.representation import DIGEST_DIGITS, Representation, digest_of

FOLDER = Path(__file__).with_name("static")
SCRIPT, STYLE = "joined.js", "joined.css"
VIEW_SCRIPT, VIEW_STYLE = "joined_view.js", "joined_view.css"
"""Names of the joined files of the page and of the view. They are in no folder."""
EMBED_SCRIPT, EMBED_STYLE = "embed.js", "embed.css"
"""Names of those of the elements for other pages: they replace the files from which they are joined."""
_SCRIPTS = {SCRIPT: "app.js", VIEW_SCRIPT: "view/app.js", EMBED_SCRIPT: "embed.js"}
_STYLES = {STYLE: "app.css", VIEW_STYLE: "view/app.css", EMBED_STYLE: "embed.css"}
"""The file from which each is joined."""
CLIENT = "client.js"
"""The client for pages of others: one file, joined from the module of this name."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Files that are served. Others in the folder are an editor's."""
REVALIDATED = "no-cache"
"""`Cache-Control` of what may change: a browser asks each time whether it has."""
_IMMUTABLE = f"public, max-age={365 * 24 * 3600}, immutable"
"""`Cache-Control` of what is at a URL with its own digest (RFC 8246)."""

_DIGEST = f"{{digest:[0-9a-f]{{{DIGEST_DIGITS}}}}}"
"""The part of a route that a digest matches."""
_ONLY_THIS_ORIGIN = {"Cross-Origin-Resource-Policy": "same-origin"}
"""No page of another origin may embed the files (Fetch section 3.7) but the elements and the client."""


class StaticFiles:
    """Hold the files of a folder, and the page's modules and stylesheets joined.

    Arguments:
        folder: has the files.

    Attributes:
        digest: changes with the content of any file.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self.digest = ""
        self._files: dict[str, Representation] = {}
        self.read()

    def read(self) -> None:
        """Read the files, which may have changed.

        Raises:
            JoinError: the modules or the stylesheets cannot be joined.
            OSError: a file cannot be read.
        """
        paths = [path for path in self._folder.rglob("*") if path.suffix in _TYPES]
        texts = {path.relative_to(self._folder).as_posix(): path.read_text("utf-8") for path in paths}
        scripts = {name: join_modules(texts, entry, name) for name, entry in _SCRIPTS.items()}
        styles = {name: join_stylesheets(texts, entry) for name, entry in _STYLES.items()}
        texts |= scripts | styles | {CLIENT: join_library(texts, CLIENT)}
        self._files = {
            name: Representation(text.encode(), _TYPES[Path(name).suffix])
            for name, text in sorted(texts.items())
        }
        contents = (f"{name}\0{file.digest}" for name, file in self._files.items())
        self.digest = digest_of("\0".join(contents).encode())

    def url(self, name: str) -> str:
        """Return the path of a file's current version, from the page's: what is there never changes."""
        return f"static/{self.digest}/{name}"

    def answer(self, request: web.Request, digest: str, name: str) -> web.Response:
        """Return the answer to a request for a file.

        A page of before an update, or of another server behind the same proxy, asks with another digest.
        It gets the file of now, which no cache keeps under that URL without asking: 404 would break it.

        Arguments:
            request: its conditions and content codings count.
            digest: of its URL; empty for a URL without one.
            name: path of the file in the folder.

        Raises:
            HTTPNotFound: there is no such file.
            Refused: as by `Representation.answer`.
        """
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound
        caching = _IMMUTABLE if digest == self.digest else REVALIDATED
        origins = EVERY_ORIGIN if name in (EMBED_SCRIPT, EMBED_STYLE, CLIENT) else _ONLY_THIS_ORIGIN
        return file.answer(request, {hdrs.CACHE_CONTROL: caching, **origins})


STATIC_FILES = web.AppKey("STATIC_FILES", StaticFiles)


def setup(app: web.Application) -> None:
    """Add the files to the application, and their URLs with and without a digest."""
    app[STATIC_FILES] = StaticFiles()
    app.router.add_get(f"/static/{_DIGEST}/{{name:.+}}", static_file)
    app.router.add_get("/static/{name:.+}", static_file)


async def static_file(request: web.Request) -> web.Response:
    """Answer `GET /static/DIGEST/NAME` and `GET /static/NAME` with a file: no other name is looked up.

    Raises:
        HTTPNotFound: there is no such file.
        Refused: as by `Representation.answer`.
    """
    found = request.match_info
    return request.app[STATIC_FILES].answer(request, found.get("digest", ""), found["name"])
