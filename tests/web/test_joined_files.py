"""The page's modules and stylesheets are joined when the server starts; what cannot be is reported."""

from __future__ import annotations

import re

import pytest

from rtdemo.errors import JoinError
from rtdemo.web.joined_files import join_library, join_modules, join_stylesheets
from rtdemo.web.static_files import FOLDER


def sources(kind: str) -> dict[str, str]:
    paths = FOLDER.rglob(f"*{kind}")
    return {path.relative_to(FOLDER).as_posix(): path.read_text() for path in paths}


ENTRIES = ("app", "view/app", "embed")
"""The files that start the two pages and the elements of other pages, without their endings."""


def join(kind: str, entry: str) -> str:
    name = f"{entry}{kind}"
    if kind == ".css":
        return join_stylesheets(sources(kind), name)
    return join_modules(sources(kind), name, name)


def joined(kind: str) -> dict[str, list[str]]:
    """Return the paths of the files that are joined for each page, in their order."""
    texts = {entry: join(kind, entry) for entry in ENTRIES}
    mark = r"^// ([\w/]+\.js)$" if kind == ".js" else r"^/\* ([\w/]+\.css) \*/$"
    return {entry: re.findall(mark, text, re.MULTILINE) for entry, text in texts.items()}


def test_modules_of_the_pages_are_joined() -> None:
    """Each is in a script once, after those that it imports, and nothing is left of its imports."""
    found = joined(".js")
    for entry, order in found.items():
        assert order[-1] == f"{entry}.js"
        assert len(order) == len(set(order))
        script = join(".js", entry)
        assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert set().union(*found.values()) == set(sources(".js")), "each module is a part of a page"


def test_stylesheets_of_the_pages_are_joined() -> None:
    """Each is in a page's style once, in the order of its app.css."""
    found = joined(".css")
    for order in found.values():
        assert order[0] == "colours.css"
        assert len(order) == len(set(order))
    entries = {f"{entry}.css" for entry in ENTRIES}
    assert set().union(*found.values()) == set(sources(".css")) - entries


def test_module_becomes_a_function_that_returns_its_exports() -> None:
    """Names of its own stay its own, and lines stay lines."""
    modules = {
        "app.js": 'import {\n  one as first,\n  Two,\n} from "./panels/a.js";\n\nfirst();\n',
        "panels/a.js": 'import { big } from "../b.js";\n'
        "export function one() {}\nexport class Two {}\nexport const three = big;\n",
        "b.js": "export async function big() {}\nexport function* rows() {}\n",
    }
    assert join_modules(modules, "app.js").splitlines() == [
        *("// b.js", "const $b = (function $b() {"),
        *("async function big() {}", "function* rows() {}", ""),
        *("return { big, rows };", "})();"),
        *("// panels/a.js", "const $panels_a = (function $panels_a() {"),
        *("const { big: big } = $b;", "function one() {}", "class Two {}", "const three = big;", ""),
        *("return { one, Two, three };", "})();"),
        *("// app.js", "const $app = (function $app() {"),
        *("const { one: first, Two: Two } = $panels_a;", "", "", "", "", "first();", ""),
        *("return {  };", "})();"),
    ]


UNKNOWN = {
    "a default export": (
        "export default class {}",
        "line 2: 'export default class {}' cannot be joined",
    ),
    "an export that changes": ("export let x = 1;", "line 2: 'export let x = 1;' cannot be joined"),
    "a list of exports": ("export { x };", "line 2: 'export { x };' cannot be joined"),
    "an export of another": ('export * from "./b.js";', "line 2: 'export * from"),
    "a pattern": ("export const { x } = y;", "line 2: 'export const { x } = y;' cannot be joined"),
    "a namespace": ('import * as b from "./b.js";', "line 2: 'import * as b from"),
    "a default import": ('import b from "./b.js";', "line 2: 'import b from"),
    "an import for its effect": ('import "./b.js";', "line 2: 'import"),
    "an import of a package": ('import { b } from "b";', "line 2: 'import"),
    "an import at run time": ('const b = import("./b.js");', "line 2: 'import(' works only in a module"),
    "a module's address": ("const b = import.meta.url;", "line 2: 'import.meta' works only in a module"),
    "a text of several lines": ("const b = `\n// c`;", "line 2: a text in backticks goes on"),
    "an await": ("await 1;", "line 2: 'await' works only in a module"),
    "a missing module": ('import { b } from "./c.js";', "app.js imports ./c.js, which does not exist"),
    "a missing name": ('import { c } from "./b.js";', "app.js imports c, which b.js does not export"),
    "a name that is none": ('import { b c } from "./b.js";', "app.js imports b c, which b.js does not"),
    "a circle": (
        'import { d } from "./d.js";',
        "app.js imports d.js imports app.js: move what they share",
    ),
}


@pytest.mark.parametrize("form", UNKNOWN)
def test_form_that_cannot_be_joined_is_refused(form: str) -> None:
    """The sentence has the file, the line and what to write instead."""
    line, sentence = UNKNOWN[form]
    modules = {
        "app.js": f"// first\n{line}\n",
        "b.js": "export const b = 1;\n",
        "d.js": 'import { x } from "./app.js";\nexport const d = 1;\n',
    }
    with pytest.raises(JoinError) as raised:
        join_modules(modules, "app.js")
    assert sentence in str(raised.value)


def test_module_that_keeps_its_address_may_use_it() -> None:
    """It is joined under its own name; what it imports has another address then."""
    text = "const here = import.meta.url;\n"
    assert text in join_modules({"app.js": text}, "app.js", "app.js")
    modules = {"app.js": 'import { b } from "./b.js";\n', "b.js": f"export {text}"}
    with pytest.raises(JoinError, match=r"b\.js, line 1: 'import\.meta' works only in a module"):
        join_modules(modules, "app.js", "app.js")


COMMENTS = [
    '/** @typedef {import("./b.js").B} B */',
    '/**\n * @param {import("./b.js").B} b\n */',
    '  // import("./b.js"), and a `',
    "/* a comment\n   import.meta */",
]


@pytest.mark.parametrize("comment", COMMENTS)
def test_comments_are_left_out_and_lines_stay(comment: str) -> None:
    """They may have words that are statements elsewhere. Those behind code, and in a text, stay."""
    code = "const url = /** @type {URL} */ (`//${a}`); // why"
    found = join_modules({"app.js": f"{comment}\n{code}\n"}, "app.js")
    lines = comment.count("\n") + 1
    assert found.splitlines()[2 : 3 + lines] == [*[""] * lines, code]


def test_words_that_are_no_statements_stay() -> None:
    """Only whole words count."""
    line = "const important = exported + awaited;"
    assert line in join_modules({"app.js": f"{line}\n"}, "app.js")


@pytest.mark.parametrize(
    "text",
    [
        '@import url("b.css");',
        '@import "b.css" print;',
        '@import "../b.css";',
        "b { background: url(b.svg) }",
        "b { background: url('../b.svg') }",
        '  @import "b.css";',
        '@import "c.css";',
    ],
)
def test_stylesheet_that_cannot_be_joined_is_refused(text: str) -> None:
    """An import in another form would be a further request, or lost behind the rules before it."""
    with pytest.raises(JoinError, match=r"app\.css"):
        join_stylesheets({"app.css": f"{text}\n", "b.css": "b {}\n"}, "app.css")


def test_stylesheets_of_two_folders_are_joined() -> None:
    """By the path from the sheet that imports them; a URL that contains its data stays right."""
    sheets = {
        "view/app.css": '@import "../b.css";\n@import "c.css";\n',
        "b.css": "b { background: url(data:,) }\n",
        "view/c.css": "c {}\n",
    }
    assert join_stylesheets(sheets, "view/app.css") == (
        "/* b.css */\nb { background: url(data:,) }\n/* view/c.css */\nc {}\n"
    )


def test_stylesheet_that_an_imported_one_imports_is_refused() -> None:
    """All imports are in one file, so that their order is in one place."""
    with pytest.raises(JoinError, match="every import must be a line of"):
        join_stylesheets({"app.css": '@import "b.css";\n', "b.css": '@import "c.css";\n'}, "app.css")


def test_library_is_one_short_module() -> None:
    """It exports what its entry does, without comments and long names of its own."""
    entry = """// @ts-check
/** About it. */
import { double } from "./double.js";

/** @param {number} x */
export function area(x) {
  // Why.
  return new Square(/** @type {number} */ (x)).area;
}

class Square {
  #side;
  #unit = 1;
  constructor(side) {
    this.#side = double(side) * this.#unit;
  }
}
"""
    given = {"entry.js": entry, "double.js": "export const double = (x) => 2 * x;\n"}
    assert join_library(given, "entry.js").splitlines() == [
        "const double=(x)=>2*x;function area(x){return new $a((x)).area}"
        "class $a{#a;#b=1;constructor(side){this.#a=double(side)*this.#b}}export{area};",
    ]


def test_library_is_short_and_its_texts_stay_as_they_are() -> None:
    """Constants have other names, also in backticks; public names and those of properties stay."""
    entry = """const MAX_ITEMS = 3_000;
export const LIMIT = 4;
export function text(a, b) {
  const odd = a - -b + +a;
  if (a !== b || MAX_ITEMS > LIMIT) return "MAX_ITEMS = 3; a, b";
  return `${MAX_ITEMS + odd} = { a, b }` + 'a = b';
}
export const words = (text) => [text.split(/ ?[/,"] ?/), 1 / 2 / 3];
"""
    assert join_library({"entry.js": entry}, "entry.js").splitlines() == [
        "const $a=3000;const LIMIT=4;function "
        'text(a,b){const odd=a - -b + +a;if(a!==b||$a>LIMIT)return "MAX_ITEMS = 3; a, b";'
        "return `${$a + odd} = { a, b }` + 'a = b'}"
        'const words=(text)=>[text.split(/ ?[/,"] ?/),1 / 2 / 3];export{LIMIT,text,words};',
    ]


@pytest.mark.parametrize(
    ("double", "entry", "words"),
    [
        ("const SIDE = 1;", "const SIDE = 2;", "both declare SIDE: rename one"),
        ("export const a = 1;", 'import { a as b } from "./double.js";', "under its own name"),
        ("export const y = 1; // one", "", "write it on a line of its own"),
        ("export const y = `a ${`b`}`;", "", "has a text in backticks within"),
        ('import { x } from "./entry.js";', "", "move what they share"),
    ],
)
def test_library_that_cannot_share_one_scope_is_refused(double: str, entry: str, words: str) -> None:
    """Its modules are functions of their own in a page, and are not here."""
    given = {"double.js": double, "entry.js": f'import {{ y }} from "./double.js";\n{entry}\n'}
    with pytest.raises(JoinError, match=words):
        join_library(given, "entry.js")
