"""Vector instructions that numba's loops do not become by themselves: a threshold on LANES scores at once.

Scores lie in the product as float32, as the upper 16 bits of one (bfloat16, uint16 here), or as int32 to be scaled.
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES: Final = 32  # scores compared at once; a mask of them is one uint32

_INT: Final = ir.IntType(32)
_FLOATS: Final = ir.VectorType(ir.FloatType(), LANES)
_INTS: Final = ir.VectorType(_INT, LANES)


@intrinsic
def reaching(typing: Any, scores: Any, scales: Any, errors: Any, place: Any, scale: Any, relative: Any, floor: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """uint32 mask of the LANES columns from `place` whose upper bound is at least the floor; NaN never is.

    The upper bound is s + relative · |s| + error, with s = score · column's scale · `scale`. Arrays are contiguous.
    """
    signature = types.uint32(scores, scales, errors, types.intp, types.float32, types.float32, types.float32)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def loaded(number: int, kind: Any) -> Any:
            array = context.make_array(signature.args[number])(context, builder, args[number])
            start = builder.gep(array.data, [args[3]])
            return builder.load(builder.bitcast(start, ir.VectorType(kind, LANES).as_pointer()), align=1)

        def everywhere(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.Constant(_INT, 0))
            return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INTS, [0] * LANES))

        if signature.args[0].dtype == types.float32:
            raw = loaded(0, ir.FloatType())
        elif signature.args[0].dtype == types.uint16:
            wide = builder.zext(loaded(0, ir.IntType(16)), _INTS)
            raw = builder.bitcast(builder.shl(wide, ir.Constant(_INTS, [16] * LANES)), _FLOATS)
        else:
            raw = builder.sitofp(loaded(0, _INT), _FLOATS)
        score = builder.fmul(builder.fmul(raw, loaded(1, ir.FloatType())), everywhere(args[4]))
        bits = builder.and_(builder.bitcast(score, _INTS), ir.Constant(_INTS, [0x7FFFFFFF] * LANES))
        spread = builder.fmul(builder.bitcast(bits, _FLOATS), everywhere(args[5]))
        upper = builder.fadd(builder.fadd(score, spread), loaded(2, ir.FloatType()))
        return builder.bitcast(builder.fcmp_ordered(">=", upper, everywhere(args[6])), _INT)

    return signature, generate


@intrinsic
def value_at(typing: Any, scores: Any, place: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """float32 value of one raw score of a contiguous array."""
    signature = types.float32(scores, types.intp)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        raw = builder.load(builder.gep(array.data, [args[1]]))
        if signature.args[0].dtype == types.float32:
            return raw
        if signature.args[0].dtype == types.uint16:
            return builder.bitcast(builder.shl(builder.zext(raw, _INT), ir.Constant(_INT, 16)), ir.FloatType())
        return builder.sitofp(raw, ir.FloatType())

    return signature, generate


@intrinsic
def lowest_bit(typing: Any, mask: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Place of the lowest set bit of a uint32 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.zext(builder.cttz(args[0], ir.Constant(ir.IntType(1), 1)), ir.IntType(64))

    return types.int64(types.uint32), generate
