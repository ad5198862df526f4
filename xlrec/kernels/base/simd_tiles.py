"""Vector instructions of small matrices in float32: a tile of a product kept in registers, and maxima of columns.

Arrays are contiguous, and read and written behind one another whatever their shape: places are of their flat numbers.
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES: Final = 16  # numbers of a vector
ROWS: Final = 8  # vectors of a tile

_INT: Final = ir.IntType(32)
_FLOATS: Final = ir.VectorType(ir.FloatType(), LANES)


def _instruction(function: Any) -> Any:
    """Numba's `intrinsic`, whose calls mypy cannot type."""
    return intrinsic(function)


def _data(context: Any, builder: Any, signature: Any, args: Any, number: int) -> Any:
    """Pointer to the first number of an argument that is an array."""
    return context.make_array(signature.args[number])(context, builder, args[number]).data


def _vector(builder: Any, data: Any, place: Any) -> Any:
    """Pointer to the LANES numbers from a place."""
    return builder.bitcast(builder.gep(data, [place]), _FLOATS.as_pointer())


def _together(context: Any) -> int:
    """Rows of a tile whose sums the registers hold at once: 32 of 16 numbers with AVX-512, else 16 of 8 or fewer."""
    return ROWS if "+avx512f" in context.codegen().magic_tuple()[2] else ROWS // 2


@_instruction
def multiply(typing: Any, left: Any, lefts: Any, right: Any, rights: Any, n: Any, out: Any, outs: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Fills ROWS rows of LANES numbers of `out`: row r is Σ_k left[r, k] · right[k], k from 0 to n - 1.

    Of lefts = (start, across, along), left[r, k] is the number at start + r · across + k · along. Of rights = (start,
    step), right[k] is the LANES numbers from start + k · step, and of outs likewise. Each sum is in order over k, with
    fused multiply-adds.
    """
    two, three = (types.UniTuple(types.intp, count) for count in (2, 3))  # type: ignore[no-untyped-call]
    signature = types.void(left, three, right, two, types.intp, out, two)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        n = args[4]
        left_at, across, along = cgutils.unpack_tuple(builder, args[1])  # type: ignore[no-untyped-call]
        right_at, step = cgutils.unpack_tuple(builder, args[3])  # type: ignore[no-untyped-call]
        out_at, out_step = cgutils.unpack_tuple(builder, args[6])  # type: ignore[no-untyped-call]
        lefts, rights, outs = (_data(context, builder, signature, args, number) for number in (0, 2, 5))
        none, lanes = ir.Constant(_FLOATS, ir.Undefined), ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        fused: Any = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")  # type: ignore[no-untyped-call]

        def row_of(start: Any, apart: Any, row: int) -> Any:
            return builder.add(start, builder.mul(apart, ir.Constant(apart.type, row)))

        together = _together(context)
        for group in range(0, ROWS, together):
            zero = ir.Constant(_FLOATS, [0.0] * LANES)
            sums: list[Any] = [cgutils.alloca_once_value(builder, zero) for _ in range(together)]  # type: ignore[no-untyped-call]
            starts = [builder.gep(lefts, [row_of(left_at, across, group + row)]) for row in range(together)]
            for total in sums:
                builder.store(zero, total)
            with cgutils.for_range(builder, n) as loop:
                place = builder.add(right_at, builder.mul(loop.index, step))
                numbers = builder.load(_vector(builder, rights, place), align=4)
                offset = builder.mul(loop.index, along)
                for start, total in zip(starts, sums, strict=True):
                    one = builder.insert_element(none, builder.load(builder.gep(start, [offset])), ir.Constant(_INT, 0))
                    factor = builder.shuffle_vector(one, none, lanes)
                    builder.store(builder.call(fused, [factor, numbers, builder.load(total)]), total)
            for row, total in enumerate(sums):
                place = row_of(out_at, out_step, group + row)
                builder.store(builder.load(total), _vector(builder, outs, place), align=4)
        return context.get_dummy_value()

    return signature, generate


@_instruction
def highest(typing: Any, rows: Any, n: Any, out: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Fills the LANES numbers of `out` with the columns' maxima of n rows of LANES numbers; NaN is passed over."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, out = (_data(context, builder, signature, args, number) for number in (0, 2))
        lowest = ir.Constant(_FLOATS, [float("-inf")] * LANES)
        best: Any = cgutils.alloca_once_value(builder, lowest)  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, args[1]) as loop:
            place = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
            row, so_far = builder.load(_vector(builder, rows, place), align=4), builder.load(best)
            builder.store(builder.select(builder.fcmp_ordered(">", row, so_far), row, so_far), best)
        builder.store(builder.load(best), builder.bitcast(out, _FLOATS.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(rows, types.intp, out), generate


@_instruction
def power_of_two(typing: Any, exponent: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """float32 2 to the power of an int32 from -126 to 127."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        bits = builder.shl(builder.add(args[0], ir.Constant(_INT, 127)), ir.Constant(_INT, 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), generate


@_instruction
def put(typing: Any, out: Any, place: Any, value: Any):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Writes a float32: as it is into float32, rounded to the nearest, ties to even, into bfloat16 (uint16)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, number = builder.gep(_data(context, builder, signature, args, 0), [args[1]]), args[2]
        if signature.args[0].dtype == types.uint16:
            bits, upper = builder.bitcast(number, _INT), ir.Constant(_INT, 16)
            odd = builder.and_(builder.lshr(bits, upper), ir.Constant(_INT, 1))
            nearest = builder.add(builder.add(bits, ir.Constant(_INT, 0x7FFF)), odd)
            number = builder.trunc(builder.lshr(nearest, upper), ir.IntType(16))
        builder.store(number, target)
        return context.get_dummy_value()

    return types.void(out, types.intp, types.float32), generate
