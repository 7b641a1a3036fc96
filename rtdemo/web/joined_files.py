"""Join the page's modules into one script, and its stylesheets into one.

A browser loads modules level by level: 54 of them took seven round trips. The modules stay the source:
each becomes a function that returns its exports, without its comments. Names and lines are the same in a
stack trace. Only the forms of `import` and `export` that the page uses are known; any other is an error.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from string import ascii_letters

from rtdemo.errors import JoinError

_STATEMENT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_IMPORT = re.compile(r'^import \{([\w$\s,]*)\} from "(\.{1,2}/[\w./-]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:(?:async )?function\*? ?|class |const )([\w$]+))", re.MULTILINE)
_DECLARATION = re.compile(
    r"^(?:export )?(?:async )?(?:function\*? ?|class |const |let )([\w$]+)", re.MULTILINE
)
"""A name in the scope of a module."""
_CAPITALISED = re.compile(r"[A-Z][A-Za-z0-9_]+")
"""A name of a constant or a class."""
_TEXT_OR_CODE = re.compile(
    r"""
    ( "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'
    | (?:(?<=[(=,:!&|?])|(?<=[(=,:!&|?][ ]))  # what is not before a division
      /(?: \\. | \[(?:\\.|[^]\\\n])*\] | [^/\\\n[] )+/[a-z]* )
    | (`[^`]*`) | (//) | [^"'`/]+ | /
    """,
    re.VERBOSE,
)
"""A text in quotes or a regular expression; a text in backticks, in which there may be code; a comment's
beginning; or the code between."""
_SPACED = re.compile(r" ?(=>|===|!==|[|&?]{2}=?|[+<>-]=|\*\*|[=,?:{}()<>*]|(?<= )[+-](?= [^+-])) ?")
"""An operator that needs no spaces around it: `a - -b` does."""
_CONTINUED = re.compile(r"(?<=[;{},])\n")
"""The end of a line that the next one may join. Statements end with a semicolon or a block."""
_WORD = re.compile(r"[\w$]+")
_NUMBER = re.compile(r"(?<![\w$])\d[\d_]+")
"""A number such as 10_000."""
_PRIVATE_NAME = re.compile(r"#([A-Za-z]\w*)")
_NAME = re.compile(r"([\w$]+)(?: as ([\w$]+))?")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CAST = re.compile(r"/\*.*?\*/ ?", re.DOTALL)
"""A comment in a line, before what it is about."""
_COMMENT_LINES = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/)[\s\S])*\*/|//.*)[ \t]*$", re.MULTILINE)
"""Comments that have their lines for themselves: a third of a module, also when it is compressed."""
_OPEN_TEXT = re.compile(r"^[^`\n]*(?:`[^`\n]*`[^`\n]*)*`[^`\n]*$", re.MULTILINE)
"""A line with an odd number of backticks."""
_ONLY_IN_MODULES = re.compile(r"^(?!\s*//).*?(\bimport\s*\(|\bimport\.meta\b|^await\b)", re.MULTILINE)
_CSS_IMPORT = re.compile(r'^@import "((?:\.\./)?\w[\w./-]*\.css)";\n', re.MULTILINE)
_CSS_URL = re.compile(r"\burl\((?!\s*[\"']?(?:data:|#))")
_KNOWN_FORMS = 'write import { a, b as c } from "./x.js"; or export a function, a class or a const'


def join_modules(sources: Mapping[str, str], entry: str, name: str = "") -> str:
    """Return one module that does what `entry` and all that it imports do.

    Arguments:
        sources: the text of each module by its path, such as `panels/panel.js`.
        entry: the path of the module that starts the page.
        name: the path of the joined module. If it is that of `entry`, that may use its own address.

    Raises:
        JoinError: a form of import or export is not known, or what a module imports does not exist, or
            modules import each other in a circle.
    """
    exports: dict[str, list[str]] = {}
    parts: list[str] = []
    for path, source in _in_order(sources, entry, name).items():
        exports[path] = _EXPORT.findall(source)
        parts.append(_as_function(path, source, exports))
    return "".join(parts)


def join_library(sources: Mapping[str, str], entry: str) -> str:
    """Return one short module that exports what `entry` exports, for pages of others.

    Comments and needless spaces are left out; private names, and those of constants and classes, are
    short. All modules share one scope.

    Arguments:
        sources: the text of each module by its path.
        entry: the path of the module that a page imports.

    Raises:
        JoinError: as by `join_modules`; or two of the modules declare the same name, or one imports
            under another name.
    """
    lines: list[str] = []
    declared: dict[str, str] = {}
    for path, source in _in_order(sources, entry).items():
        for name in _DECLARATION.findall(source):
            if declared.setdefault(name, path) != path:
                raise JoinError(f"{path} and {declared[name]} both declare {name}: rename one of them")
        for names, _ in _IMPORT.findall(source):
            if " as " in names:
                raise JoinError(f"{path} imports {names.strip()!r}: import it under its own name")
        code = _short_private_names(_CAST.sub("", _EXPORT.sub("", _IMPORT.sub("", source))))
        lines += filter(None, (line.strip() for line in code.splitlines()))
    exported = _EXPORT.findall(sources[entry])
    capitalised = [name for name in declared if _CAPITALISED.fullmatch(name) and name not in exported]
    names = {name: f"${_letters(number)}" for number, name in enumerate(capitalised)}
    lines.append(f"export {{ {', '.join(exported)} }};\n")
    return _shortened("\n".join(lines), names)


def _shortened(code: str, names: Mapping[str, str]) -> str:
    """Return code with other names, and without most spaces and ends of lines. Texts stay as they are.

    Where a regular expression begins is seen by the character before it: one after `return` is not seen.
    No statement may be a semicolon alone: it is left out at the end of a block.

    Raises:
        JoinError: a text in backticks has another one within, or a line ends with a comment.
    """

    def shorten(found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        if found[3]:
            line = code[code.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            raise JoinError(f"{line!r} ends with a comment: write it on a line of its own")
        renamed = _WORD.sub(lambda word: names.get(word[0], word[0]), found[0])
        if not found[2]:
            short = _NUMBER.sub(lambda number: number[0].replace("_", ""), _SPACED.sub(r"\1", renamed))
            return _CONTINUED.sub("", short).replace(";}", "}")
        if found[2].count("${") > found[2].count("}"):
            raise JoinError(f"{found[2]} has a text in backticks within: join the two by +")
        return renamed

    return _TEXT_OR_CODE.sub(shorten, code)


def _short_private_names(code: str) -> str:
    """Return a module whose private names are letters. Only such a name has `#` before a letter."""
    numbers: dict[str, int] = {}
    return _PRIVATE_NAME.sub(
        lambda found: f"#{_letters(numbers.setdefault(found[1], len(numbers)))}", code
    )


def _letters(number: int) -> str:
    """Return a number in base 52: a to z, A to Z, ba, bb."""
    rest, last = divmod(number, len(ascii_letters))
    return (_letters(rest) if rest else "") + ascii_letters[last]


def _in_order(sources: Mapping[str, str], entry: str, name: str = "") -> dict[str, str]:
    """Return the text of each module that `entry` needs, each after those that it imports.

    The arguments and errors are those of `join_modules`. Comments are left out, and their lines stay.
    """
    ordered: dict[str, str] = {}

    def add(path: str, importers: tuple[str, ...]) -> None:
        if path in importers:
            circle = " imports ".join((*importers[importers.index(path) :], path))
            raise JoinError(f"{circle}: move what they share to a module of its own")
        if path in ordered:
            return
        source = _COMMENT_LINES.sub(_only_line_feeds, sources[path])
        _check_forms(path, source if path != name else source.replace("import.meta.url", "address"))
        for _, target in _IMPORT.findall(source):
            if _resolved(path, target) not in sources:
                raise JoinError(f"{path} imports {target}, which does not exist")
            add(_resolved(path, target), (*importers, path))
        ordered[path] = source

    add(entry, ())
    return ordered


def _check_forms(path: str, source: str) -> None:
    """Refuse a module with a form that would change its meaning in a function."""
    for found in _STATEMENT.finditer(source):
        if not any(form.match(source, found.start()) for form in (_IMPORT, _EXPORT)):
            place = _place(path, source, found.start())
            raise JoinError(f"{place}: {found[0]!r} cannot be joined; {_KNOWN_FORMS}")
    if text := _OPEN_TEXT.search(source):
        place = _place(path, source, text.start())
        raise JoinError(f"{place}: a text in backticks goes on; end it on its line, and join texts by +")
    code = _COMMENT.sub(_only_line_feeds, source)
    if inside := _ONLY_IN_MODULES.search(code):
        place = _place(path, code, inside.start(1))
        raise JoinError(f"{place}: {inside[1]!r} works only in a module; import at the top of the file")


def _as_function(path: str, source: str, exports: Mapping[str, list[str]]) -> str:
    """Return a module as a call of a function that returns its exports, on as many lines."""

    def to_constant(found: re.Match[str]) -> str:
        target = _resolved(path, found[2])
        names = [_NAME.fullmatch(part.strip()) for part in found[1].split(",") if part.strip()]
        for name in names:
            if name is None or name[1] not in exports[target]:
                given = name[1] if name else found[1].strip()
                raise JoinError(f"{path} imports {given}, which {target} does not export")
        bindings = ", ".join(f"{name[1]}: {name[2] or name[1]}" for name in names if name)
        lines = "\n" * found[0].count("\n")
        return f"const {{ {bindings} }} = {_variable(target)};{lines}"

    body = _EXPORT.sub("", _IMPORT.sub(to_constant, source))
    name = _variable(path)
    returned = ", ".join(exports[path])
    return f"// {path}\nconst {name} = (function {name}() {{\n{body}\nreturn {{ {returned} }};\n}})();\n"


def _only_line_feeds(found: re.Match[str]) -> str:
    """Return what keeps the numbers of the lines."""
    return "\n" * found[0].count("\n")


def _resolved(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _variable(path: str) -> str:
    """Return the name of a module's exports: `$panels_panel`. No name of a module begins with `$`."""
    return "$" + re.sub(r"\W", "_", path.removesuffix(".js"))


def _place(path: str, source: str, at: int) -> str:
    return f"{path}, line {source.count(chr(10), 0, at) + 1}"


def join_stylesheets(sources: Mapping[str, str], entry: str) -> str:
    """Return one stylesheet: `entry`, with the sheets that it imports in the place of its imports.

    Arguments:
        sources: the text of each sheet by its path, such as `view/cards.css`.
        entry: the path of the sheet that imports the others in their order.

    Raises:
        JoinError: an import is not at the start of a line as `@import "name.css";`, or of no such sheet;
            or a sheet has the URL of a file, which the joined sheet's own address would change.
    """

    def text_of(found: re.Match[str]) -> str:
        path = _resolved(entry, found[1])
        if path not in sources:
            raise JoinError(f"{entry} imports {found[1]}, which does not exist")
        return f"/* {path} */\n{sources[path]}"

    joined = _CSS_IMPORT.sub(text_of, sources[entry])
    code = _COMMENT.sub("", joined)
    if "@import" in code:
        raise JoinError(f'{entry}: every import must be a line of {entry} such as @import "name.css";')
    if _CSS_URL.search(code):
        raise JoinError(f"{entry}: a sheet has url(...) of a file; write its content as a data: URL")
    return joined
