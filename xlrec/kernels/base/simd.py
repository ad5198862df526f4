"""SIMD instructions that numba does not generate from loops, such as a threshold on LANES scores at once.

Scores are float32, bfloat16 (the upper 16 bits of a float32, as uint16), or int32 to be scaled.
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES: Final = 32  # scores compared at once; a mask of them is one uint32


def _instruction(function: Any) -> Any:
    """Numba's `intrinsic`, whose calls mypy cannot type."""
    return intrinsic(function)


_INT: Final = ir.IntType(32)
_FLOATS: Final = ir.VectorType(ir.FloatType(), LANES)
_INTS: Final = ir.VectorType(_INT, LANES)


@_instruction
def threshold_mask(typing: Any, scores: Any, scales: Any, errors: Any, at: Any, scale: Any, rel: Any, least: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """uint32 mask of the LANES columns from `at` whose upper bound is at least the threshold; NaN never is.

    The upper bound is s + rel · |s| + error, with s = score · column's scale · `scale`. Arrays are contiguous: scores
    (n,) float32, uint16 or int32, `scales` (n,) float32 and `errors` (n,) float32.
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


@_instruction
def value_at(typing: Any, scores: Any, place: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """float32 value of one raw score of a contiguous array (n,), float32, uint16 or int32."""
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


@_instruction
def lowest_bit(typing: Any, mask: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """int64 place of the lowest set bit of a uint32 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.zext(builder.cttz(args[0], ir.Constant(ir.IntType(1), 1)), ir.IntType(64))

    return types.int64(types.uint32), generate


@_instruction
def blocked_dot(typing: Any, left: Any, right: Any, n_eights: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """float64 inner product of the first 8 · n_eights numbers of two contiguous rows: (dim,) float64, (dim,) float32.

    Eight running sums, joined from first to last: the order of `xlrec.kernels.search.exact_scores`.
    """
    doubles, floats = ir.VectorType(ir.DoubleType(), 8), ir.VectorType(ir.FloatType(), 8)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = [context.make_array(signature.args[j])(context, builder, args[j]).data for j in range(2)]
        sums: Any = cgutils.alloca_once_value(builder, ir.Constant(doubles, [0.0] * 8))  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, args[2]) as loop:
            place = builder.mul(loop.index, ir.Constant(loop.index.type, 8))
            starts = [builder.gep(row, [place]) for row in rows]
            ours = builder.load(builder.bitcast(starts[0], doubles.as_pointer()), align=1)
            theirs = builder.load(builder.bitcast(starts[1], floats.as_pointer()), align=1)
            terms = builder.fmul(ours, builder.fpext(theirs, doubles))
            builder.store(builder.fadd(builder.load(sums), terms), sums)
        found = builder.load(sums)
        parts = [builder.extract_element(found, ir.Constant(_INT, j)) for j in range(8)]
        while len(parts) > 1:
            parts = [builder.fadd(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return types.float64(left, right, types.intp), generate


@_instruction
def prefetch(typing: Any, row: Any, place: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Prefetch of the cache line of row[place]; the row is (n,), of any dtype."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _INT, _INT, _INT])
        called: Any = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        builder.call(called, [pointer, *(ir.Constant(_INT, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(row, types.intp), generate
