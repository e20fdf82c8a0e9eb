"""Graphs of formulas, drawn by Python's own parser: no code of the project, nothing about cosine sums."""

import ast
import re

import numpy as np

OPERATIONS = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
}


def graph(formula, t):
    """Values at ``t`` of a formula in the LaTeX that people write: numbers, signs, pi, t, cos and brackets."""
    python = formula.replace(r"\left", "").replace(r"\right", "").replace(r"\pi t", "(pi*t)").replace(r"\cos", "cos")
    for before in "0123456789":
        for after in ("cos", "(pi"):
            python = python.replace(before + after, f"{before}*{after}")
    return _value(ast.parse(python.strip(), mode="eval").body, t) + np.zeros_like(t)


def _value(node, t):
    match node:
        case ast.Constant(value=float() | int()):
            return node.value
        case ast.Name(id="t"):
            return t
        case ast.Name(id="pi"):
            return np.pi
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, t)
        case ast.BinOp():
            return OPERATIONS[type(node.op)](_value(node.left, t), _value(node.right, t))
        case ast.Call(func=ast.Name(id="cos"), args=[argument]):
            return np.cos(_value(argument, t))
    raise ValueError(f"not a formula: {ast.dump(node)}")


def graph_latex(document, t):
    """Every pair x_s(t), y_s(t) of a document: (M, n, 2)."""
    strokes = []
    for number, piece in enumerate(document.split(r"\begin{align*}")[1:], start=1):
        body, _ = piece.split(r"\end{align*}")
        rows = body.replace("\\\\\n&\\quad {}", "").replace("&=", "=").split(r"\\")
        sides = [row.strip().split("=") for row in rows]
        index = number if number < 10 else f"{{{number}}}"
        assert [left.strip() for left, _ in sides] == [f"x_{index}(t)", f"y_{index}(t)"]
        strokes.append(np.stack([graph(right, t) for _, right in sides], axis=1))
    return np.array(strokes).reshape(-1, len(t), 2)


def graph_desmos(lines, t):
    """Every line of a list that was pasted into Desmos: (M, n, 2)."""
    strokes = []
    for line in lines.splitlines():
        point, domain = line.split(r"\left\{")
        assert domain == r"0\le t\le1\right\}"
        x, y = point.removeprefix(r"\left(").removesuffix(r"\right)").split(",")
        strokes.append(np.stack([graph(x, t), graph(y, t)], axis=1))
    return np.array(strokes).reshape(-1, len(t), 2)


TOKEN = re.compile(r"\d+\.?\d*|[a-zA-Z]\w*|[-+*/(),]")


def evaluate(formula, **values):
    """The value of a formula in LaTeX with implicit products, given its variables, by Python's own parser."""
    text = re.sub(r"\\(?:left|right)(?=[()])", "", formula).replace(r"\operatorname{mod}", "mod").replace("&", "")
    text = re.sub(r"\\?([a-zA-Z]+)_\{?(\d+)\}?", r"\1_\2 ", text).replace("\\", " ").replace("{}", " ")
    tokens = TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s", "", text), f"not understood: {text}"
    python = []
    for token in tokens:
        ends = python and (python[-1] == ")" or (python[-1][-1].isalnum() and python[-1] not in FUNCTIONS))
        if ends and (token == "(" or token[0].isalnum()):
            python.append("*")
        python.append(token)
    return eval("".join(python), {"__builtins__": {}}, {**FUNCTIONS, "pi": np.pi, **values})


FUNCTIONS = {"cos": np.cos, "sin": np.sin, "mod": np.mod}


def in_life(condition, time):
    """Whether a time satisfies ``0.25\\le t<0.5``."""
    low, high = re.fullmatch(r"([\d.]+)\\le [a-z]<([\d.]+)", condition).groups()
    return float(low) <= time < float(high)


def graph_clip_latex(document, time, n):
    """The strokes of a document with time that live at a time in [0, 1): (M, n, 2)."""
    (clocks, *pieces) = [piece.split(r"\end{align*}") for piece in document.split(r"\begin{align*}")[1:]]
    taus = {}
    for row in clocks[0].split(r"\\"):
        name, value = row.split("&=")
        taus[re.sub(r"\W", "", name)] = evaluate(value, t=time)
    strokes, before = [], clocks[1]
    u = np.linspace(0, 1, n)
    for number, (body, after) in enumerate(pieces, start=1):
        condition = re.search(r"while \$(.*)\$,", before)
        before = after
        rows = body.replace("\\\\\n&\\quad {}", "").split(r"\\")
        sides = [row.split("&=") for row in rows]
        index = number if number < 10 else f"{{{number}}}"
        assert [left.strip() for left, _ in sides] == [f"x_{index}(u, t)", f"y_{index}(u, t)"]
        if condition is None or in_life(condition[1], time):
            strokes.append(np.stack([evaluate(right, u=u, **taus) + 0 * u for _, right in sides], axis=1))
    return np.array(strokes).reshape(-1, n, 2)


def graph_clip_desmos(lines, slider, n):
    """What Desmos draws of pasted lines when the slider T has a value: (M, n, 2)."""
    t, values, strokes = np.linspace(0, 1, n), {}, []
    for line in lines:
        if not line.startswith(r"\left("):
            name, formula = line.split("=", 1)
            values[re.sub(r"[{}]", "", name)] = slider if name == "T" else evaluate(formula, **values)
            continue
        point, domain, *life = line.split(r"\left\{")
        assert domain == r"0\le t\le1\right\}"
        x, y = split_pair(point)
        if not life or in_life(life[0].removesuffix(r"\right\}"), values["m"]):
            strokes.append(np.stack([evaluate(x, t=t, **values) + 0 * t, evaluate(y, t=t, **values) + 0 * t], axis=1))
    return np.array(strokes).reshape(-1, n, 2)


def split_pair(point):
    """The two formulas of ``\\left(x,y\\right)``."""
    x, y = point.removeprefix(r"\left(").removesuffix(r"\right)").split(",")
    return x, y
