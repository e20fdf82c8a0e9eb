"""Graphs of formulas, drawn by Python's own parser: no code of the project, nothing about cosine sums."""

import ast

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
