"""The ways in which a module can be bent: one small change each, as a change of its syntax tree.

The changes are those that a weakened check would show: a refusal or call that is gone, a condition that always or never
holds, a part of one that is left out, a bound that moved by one, a comparison turned round, another constant, a handler
that catches nothing. Sentences for people (details of refusals, docstrings) and types are left alone.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

_COMPARED_ANEW: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COMPUTED_ANEW: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_SPEAKS = ("Error", "Refused", "Refusal", "Malformed", "Finding", "NotAllowed", "Missing")
_LEAVES = (ast.Raise, ast.Return, ast.Continue, ast.Break)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LONGEST = 160  # characters of a place that are shown
_WORDS = re.compile(r"[a-z] ['\w]")  # what only a sentence has


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. path: from the root. function: qualified name, "" for the module's own level. nth: among equal ones.

    in_body: whether a function's body is changed, not what is done when the module is imported. line, last_line: of the
    statement. branch: the first line of what a condition leads to, or keeps away from, if that is changed, or of a
    handler. needs_branch: only a test that went there can tell: the condition holds less often, or always. calls: the
    name of what is no longer called. source: digest of the outermost function around it, without its docstring. apply:
    makes the change in the tree that the mutants of a module share; there is no way back.
    """

    path: str
    function: str
    in_body: bool
    line: int
    last_line: int
    before: str
    after: str
    nth: int
    branch: int | None
    needs_branch: bool
    calls: str
    source: str
    tree: ast.Module
    apply: Callable[[], None]

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What names it whatever moves around it."""
        return self.path, self.function, self.before, self.after, self.nth

    def __str__(self) -> str:
        """As a report shows it."""
        nth = f" #{self.nth}" if self.nth > 1 else ""
        return f"{self.path}:{self.line} {self.function or '(module)'}: `{self.before}` → `{self.after}`{nth}"


@dataclass(frozen=True, slots=True)
class _Change:
    node: ast.AST
    after: ast.AST
    apply: Callable[[], None]
    narrows: bool = False
    beyond: int | None = None  # the first line of where only those go who can tell


def mutants_of(path: Path, *, root: Path) -> list[Mutant]:
    """All mutants of a file, in the order of its lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = path.relative_to(root).as_posix()
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for scope, change in _changes_in(tree, _Scope("", False, (0, 0))):
        before, after = _shown(change.node), _shown(change.after)
        seen[scope.name, before, after] += 1
        nth = seen[scope.name, before, after]
        found.append(
            Mutant(
                name,
                scope.name,
                scope.is_body,
                *scope.lines,
                before,
                after,
                nth,
                scope.branch if change.beyond is None else change.beyond,
                change.narrows or change.beyond is not None,
                _called(change),
                scope.source,
                tree,
                change.apply,
            )
        )
    return sorted(found, key=lambda mutant: mutant.line)


def refusals_in(path: Path) -> dict[str, tuple[set[int], set[str]]]:
    """For each function's own name, the lines on which it refuses, and the names of what it calls."""
    found: dict[str, tuple[set[int], set[str]]] = {}
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, _FUNCTIONS):
            lines, names = found.setdefault(function.name, (set(), set()))
            for node in ast.walk(function):
                if isinstance(node, ast.Raise):
                    lines.add(node.lineno)
                elif isinstance(node, ast.Call):
                    names.add(_name_of(node))
    return found


def _called(change: _Change) -> str:
    node = change.node.value if isinstance(change.node, ast.Expr) else None
    return _name_of(node) if isinstance(node, ast.Call) and isinstance(change.after, ast.Pass) else ""


def _name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@dataclass(frozen=True, slots=True)
class _Scope:
    """The function around a node, whether the node is in its body, and the lines of the statement around it."""

    name: str
    is_body: bool
    lines: tuple[int, int]
    branch: int | None = None
    source: str = ""


def _changes_in(node: ast.AST, scope: _Scope) -> Iterator[tuple[_Scope, _Change]]:
    """Changes of what lies below a node, each with its scope."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        here = replace(scope, is_body=True) if name == "body" and isinstance(node, _FUNCTIONS) else scope
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST) or _is_left_alone(child, node):
                continue
            inside = replace(here, lines=_lines_of(child), branch=None) if isinstance(child, ast.stmt) else here
            if isinstance(child, ast.If):
                inside = replace(inside, branch=child.body[0].lineno)
            elif isinstance(node, ast.If) and name == "test":
                inside = replace(inside, branch=node.body[0].lineno)
            for change in _changes_of(child, _Place(node, name, index)):
                yield inside, change
            if isinstance(child, ast.If):
                inside = replace(inside, branch=None)
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                # default values of a function bear its name, though they are made outside
                inside = replace(inside, name=f"{scope.name}.{child.name}".lstrip("."))
            if isinstance(child, _FUNCTIONS) and not scope.source:
                inside = replace(inside, source=_digest_of(child))
            yield from _changes_in(child, inside)


def _digest_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    body = function.body[ast.get_docstring(function, clean=False) is not None :]
    text = "\n".join(ast.unparse(each) for each in (function.args, *body))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _lines_of(statement: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement; of one with branches, of its head."""
    last = statement.end_lineno or statement.lineno
    body = getattr(statement, "body", None)
    return statement.lineno, max(statement.lineno, body[0].lineno - 1) if isinstance(body, list) else last


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node hangs."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _is_left_alone(node: ast.AST, parent: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Constant, ast.Yield, ast.YieldFrom)):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, (ast.Assert, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in ("__slots__", "__all__")
    return _is_sentence(node, parent)


def _is_sentence(node: ast.AST, parent: ast.AST) -> bool:
    """Whether this is the wording of a refusal, or a name that may be written in several ways."""
    if not isinstance(parent, ast.Call) or not isinstance(node, (ast.Constant, ast.JoinedStr, ast.IfExp)):
        return False
    name = _name_of(parent)
    if name in ("encode", "decode") and isinstance(node, ast.Constant):
        return True  # an encoding is found whatever punctuation stands in its name
    return name.endswith(_SPEAKS) or name in ("cast", "TypeVar")


def _changes_of(node: ast.AST, place: _Place) -> Iterator[_Change]:
    narrows = isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and _is_whole_condition(place)
    for after in _replacements(node, place):
        apply = partial(place.put, ast.copy_location(after, node))
        yield _Change(node, after, apply, narrows and isinstance(place.parent, ast.If))
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield from _conditions(node, place)
    elif isinstance(node, ast.comprehension):
        for index, condition in enumerate(node.ifs):
            yield _assigned(node.ifs, index, condition, ast.Constant(True))
    elif isinstance(node, ast.match_case) and node.guard is not None:
        yield _Change(node.guard, ast.Constant(True), lambda: setattr(node, "guard", None))
    elif isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            if _is_whole_condition(place) and not isinstance(operator, _ORDERS):
                continue
            turned = _COMPARED_ANEW[type(operator)]()
            after = ast.Compare(node.left, [*node.ops[:index], turned, *node.ops[index + 1 :]], node.comparators)
            yield _Change(node, after, partial(node.ops.__setitem__, index, turned))
    elif isinstance(node, ast.ExceptHandler) and node.type is not None:
        yield from _handlers(node)


def _is_whole_condition(place: _Place) -> bool:
    """Whether the branch is already taken always and never by other mutants, which says more than turning it round."""
    return place.field == "test" and isinstance(place.parent, (ast.If, ast.IfExp))


def _assigned(values: list[ast.expr], index: int, before: ast.expr, after: ast.expr) -> _Change:
    return _Change(before, after, lambda: values.__setitem__(index, ast.copy_location(after, before)))


def _conditions(node: ast.If | ast.While | ast.IfExp, place: _Place) -> Iterator[_Change]:
    test = node.test
    for held in (False, True):
        if held and isinstance(node, ast.While):
            continue
        shown = _without_branches(node, ast.Constant(held))
        yield _Change(
            _without_branches(node, test),
            shown,
            partial(setattr, node, "test", ast.copy_location(ast.Constant(held), test)),
            narrows=isinstance(node, ast.If) and not held,
            beyond=_beyond(node, place) if held and isinstance(node, ast.If) else None,
        )


def _beyond(node: ast.If, place: _Place) -> int | None:
    if node.orelse:
        return node.orelse[0].lineno
    block = getattr(place.parent, place.field)
    following = block[place.index + 1 :] if isinstance(block, list) and place.index is not None else []
    return following[0].lineno if following and isinstance(node.body[-1], _LEAVES) else None


def _without_branches(node: ast.If | ast.While | ast.IfExp, test: ast.expr) -> ast.AST:
    if isinstance(node, ast.IfExp):
        return ast.copy_location(ast.IfExp(test, node.body, node.orelse), node)
    first: ast.stmt = node.body[0] if isinstance(node.body[0], (*_LEAVES, ast.Expr)) else ast.Expr(ast.Constant(...))
    return ast.copy_location(type(node)(test, [first], []), node)


def _handlers(node: ast.ExceptHandler) -> Iterator[_Change]:
    caught = node.type
    assert caught is not None
    if isinstance(caught, ast.Tuple):
        for index, each in enumerate(caught.elts):
            rest = ast.Tuple([*caught.elts[:index], *caught.elts[index + 1 :]], ast.Load())
            yield _Change(
                ast.copy_location(ast.Starred(each, ast.Load()), each),
                ast.Tuple([], ast.Load()),
                partial(setattr, node, "type", ast.copy_location(rest, caught)),
                beyond=node.body[0].lineno,
            )
        return
    nothing = ast.copy_location(ast.Tuple([], ast.Load()), caught)
    yield _Change(
        ast.copy_location(ast.Starred(caught, ast.Load()), caught),
        nothing,
        lambda: setattr(node, "type", nothing),
        beyond=node.body[0].lineno,
    )


def _replacements(node: ast.AST, place: _Place) -> Iterator[ast.AST]:
    match node:
        case ast.Raise():
            alone = isinstance(place.parent, ast.If) and len(place.parent.body) == 1 and not place.parent.orelse
            if not alone:
                yield ast.Pass()
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.BoolOp():
            for index in range(len(node.values)):
                rest = [*node.values[:index], *node.values[index + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.UnaryOp(op=ast.Not()) if not _is_whole_condition(place):
            yield node.operand
        case ast.BinOp() if type(node.op) in _COMPUTED_ANEW:
            yield ast.BinOp(node.left, _COMPUTED_ANEW[type(node.op)](), node.right)
        case ast.Set() | ast.Tuple() | ast.List() if _lists_constants(node) and not isinstance(
            place.parent, ast.Subscript
        ):
            for index in range(len(node.elts)):
                yield _fewer(node, index)
        case ast.Constant():
            yield from _other_constants(node)


def _lists_constants(node: ast.Set | ast.Tuple | ast.List) -> bool:
    return len(node.elts) > 1 and all(isinstance(each, (ast.Constant, ast.Attribute)) for each in node.elts)


def _fewer(node: ast.Set | ast.Tuple | ast.List, index: int) -> ast.expr:
    rest = [*node.elts[:index], *node.elts[index + 1 :]]
    return ast.Set(rest) if isinstance(node, ast.Set) else type(node)(rest, ast.Load())


def _other_constants(node: ast.Constant) -> Iterator[ast.Constant]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and not _WORDS.search(value):
        yield ast.Constant(value + "\N{MIDDLE DOT}")
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"\x00")
