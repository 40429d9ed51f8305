"""Functions of texts in a warehouse's SQL: places are counted in code points, and letters are those from A to Z."""

from __future__ import annotations

from sqlglot import exp

from featurestore.registry.expressions import Expression, Operation

from .pieces import Pieces, call, when

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SIDES = {Operation.LTRIM: "LEADING", Operation.RTRIM: "TRAILING", Operation.TRIM: "BOTH"}


def text_function(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    """One of them."""
    match node.operation:
        case Operation.LOWER | Operation.UPPER:
            letters = [exp.Literal.string(each) for each in (_UPPER, _UPPER.lower())]
            return call("TRANSLATE", operands[0], *(letters if node.operation is Operation.LOWER else letters[::-1]))
        case Operation.TRIM | Operation.LTRIM | Operation.RTRIM:
            return exp.Trim(this=operands[0], expression=exp.Literal.string(" "), position=_SIDES[node.operation])
        case Operation.LENGTH:
            return exp.cast(call("LENGTH", operands[0]), exp.DType.BIGINT)
        case Operation.SUBSTRING | Operation.RIGHT:
            places = [exp.Literal.number(operand.text or 0) for operand in node.operands[1:]]
            return call(node.operation.name, operands[0], *places)
        case Operation.CONCAT:
            return exp.DPipe(this=operands[0], expression=operands[1])
        case Operation.REPLACE:
            return _replaced(node, operands, pieces)
        case Operation.STARTS_WITH:
            return pieces.named(operands, lambda text, part: exp.EQ(this=_first(text, part), expression=part.copy()))
        case Operation.ENDS_WITH:
            return pieces.named(operands, lambda text, part: exp.EQ(this=_last(text, part), expression=part.copy()))
    return exp.GT(this=exp.StrPosition(this=operands[0], substr=operands[1]), expression=exp.Literal.number(0))


def _replaced(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    """REPLACE. Of nothing, there is nothing to replace."""
    old = node.operands[1]
    if old.operation is Operation.LITERAL and old.text:
        return call("REPLACE", *operands)
    empty = exp.Literal.string("")

    def made(text: exp.Expression, old: exp.Expression, new: exp.Expression) -> exp.Expression:
        nothing = exp.And(this=exp.EQ(this=old, expression=empty), expression=exp.Not(this=exp.Is(this=new, expression=exp.null())))
        return when(nothing, text.copy(), call("REPLACE", text.copy(), old.copy(), new.copy()))

    return pieces.named(operands, made)


def _first(text: exp.Expression, part: exp.Expression) -> exp.Expression:
    length = exp.cast(call("LENGTH", part), exp.DType.INT)
    return call("SUBSTRING", text.copy(), exp.Literal.number(1), length)


def _last(text: exp.Expression, part: exp.Expression) -> exp.Expression:
    return call("RIGHT", text.copy(), exp.cast(call("LENGTH", part), exp.DType.INT))
